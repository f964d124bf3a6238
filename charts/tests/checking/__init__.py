"""What the tests of the charts share: rendering, reading of manifests, and the rules they have to keep."""
