{{/*
Metrics. metrics.mode says who finds the targets: `annotations` on pods, `operator` (monitors and rules of the Prometheus operator),
or none. Never two at once, which would count everything twice, and never by looking which APIs the cluster has: `helm template`
cannot see them.
*/}}

{{/* Annotations of a pod by which Prometheus finds it, or nothing: {root, port?} */}}
{{- define "service-lib.metricsAnnotations" -}}
{{- if eq .root.Values.metrics.mode "annotations" -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .port | default 9090 | toString | quote }}
prometheus.io/path: "/metrics"
{{- end }}
{{- end }}

{{/* A ServiceMonitor in mode operator, else nothing: {root, name?, suffix?, component?, port?}. Selects the Service with the same selector labels. */}}
{{- define "service-lib.serviceMonitor" -}}
{{- include "service-lib.monitor" (merge (dict "kind" "ServiceMonitor" "endpoints" "endpoints") .) }}
{{- end }}

{{/* A PodMonitor in mode operator, else nothing: {root, name?, suffix?, component?, port?} */}}
{{- define "service-lib.podMonitor" -}}
{{- include "service-lib.monitor" (merge (dict "kind" "PodMonitor" "endpoints" "podMetricsEndpoints") .) }}
{{- end }}

{{- define "service-lib.monitor" -}}
{{- $metrics := .root.Values.metrics -}}
{{- if eq $metrics.mode "operator" -}}
apiVersion: monitoring.coreos.com/v1
kind: {{ .kind }}
metadata:
  {{- include "service-lib.metadata" (merge (dict "labels" $metrics.monitor.labels) .) | nindent 2 }}
spec:
  selector:
    matchLabels:
      {{- include "service-lib.selectorLabels" . | nindent 6 }}
  namespaceSelector:
    matchNames:
      - {{ .root.Release.Namespace }}
  # Rules and dashboards find their series by these, as with annotations.
  podTargetLabels:
    - app.kubernetes.io/name
    - app.kubernetes.io/component
  {{ .endpoints }}:
    - port: {{ .port | default "metrics" }}
      path: /metrics
      interval: {{ $metrics.monitor.interval | quote }}
{{- end }}
{{- end }}

{{/*
The rule files of files/rules/, one PrometheusRule each, in mode operator with metrics.rules.enabled: {root}. They are plain Prometheus
rule files (`groups:`), put in as they are: their own templates belong to Prometheus, not to Helm.
*/}}
{{- define "service-lib.prometheusRules" -}}
{{- $root := .root -}}
{{- if and (eq $root.Values.metrics.mode "operator") $root.Values.metrics.rules.enabled -}}
{{- range $path, $_ := $root.Files.Glob "files/rules/*.yaml" }}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  {{- include "service-lib.metadata" (dict "root" $root "suffix" (base $path | trimSuffix ".yaml") "labels" $root.Values.metrics.monitor.labels) | nindent 2 }}
spec:
  {{- $root.Files.Get $path | trimSuffix "\n" | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* The dashboards of files/dashboards/, a ConfigMap each for Grafana's sidecar, in mode operator with metrics.dashboards.enabled: {root} */}}
{{- define "service-lib.dashboards" -}}
{{- $root := .root -}}
{{- if and (eq $root.Values.metrics.mode "operator") $root.Values.metrics.dashboards.enabled -}}
{{- range $path, $_ := $root.Files.Glob "files/dashboards/*.json" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "service-lib.metadata" (dict "root" $root "suffix" (printf "dashboard-%s" (base $path | trimSuffix ".json")) "labels" (dict "grafana_dashboard" "1")) | nindent 2 }}
data:
  {{ base $path }}: |
    {{- $root.Files.Get $path | trimSuffix "\n" | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}
