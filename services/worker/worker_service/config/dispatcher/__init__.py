"""The settings of the dispatcher, which shares the service's other settings with the worker."""
