"""Whether Prometheus finds every pod of a namespace, each once: by annotations, or by the charts' monitors."""
