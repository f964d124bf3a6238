"""The controllers, a package for each version of the interface."""
