"""The HTTP interface: one folder a version, and the addresses standards fix outside of them."""
