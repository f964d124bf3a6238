{{/*
Names and labels. Every define takes ONE dict; `root` is always the chart's `$`.
*/}}

{{/* The chart's name: {root} */}}
{{- define "service-lib.name" -}}
{{- .root.Values.nameOverride | default .root.Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/*
The name of a resource: {root, suffix?}. The release's name where it contains the chart's, so that release `auth` of chart
`auth` is `auth`. At most 63 characters, of which a suffix keeps all of its own.
*/}}
{{- define "service-lib.fullname" -}}
{{- $name := include "service-lib.name" . -}}
{{- $release := .root.Release.Name -}}
{{- $base := .root.Values.fullnameOverride | default (ternary $release (printf "%s-%s" $release $name) (contains $name $release)) -}}
{{- $suffix := .suffix | empty | ternary "" (printf "-%s" .suffix) -}}
{{- $room := int (sub 63 (len $suffix)) -}}
{{- printf "%s%s" ($base | trunc $room | trimSuffix "-") $suffix -}}
{{- end }}

{{/*
What a selector may hold, and nothing else: {root, component?}. It never changes over the life of a release, so no version
and no chart: a Deployment's selector cannot be changed, and pods would drop out of their policies during an upgrade.
*/}}
{{- define "service-lib.selectorLabels" -}}
app.kubernetes.io/name: {{ include "service-lib.name" . | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- with .component }}
app.kubernetes.io/component: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Labels of an object: {root, component?}. Not for pod templates: they hold the chart's version. */}}
{{- define "service-lib.labels" -}}
{{ include "service-lib.selectorLabels" . }}
app.kubernetes.io/part-of: "redprint"
app.kubernetes.io/version: {{ include "service-lib.version" . | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | quote }}
{{- end }}

{{/*
Labels of a pod: {root, component?, clients?: list of names such as "db-client", extra?: map}. `clients` become the labels
redprint.dev/<name>: "true" by which NetworkPolicies let the pod through. No version: a new chart alone restarts nothing.
*/}}
{{- define "service-lib.podLabels" -}}
{{ include "service-lib.selectorLabels" . }}
app.kubernetes.io/part-of: "redprint"
{{- with .root.Values.appEnv }}
redprint.dev/app-env: {{ . | quote }}
{{- end }}
{{- range .clients }}
redprint.dev/{{ . }}: "true"
{{- end }}
{{- with .extra }}
{{ include "service-lib.quotedMap" (dict "map" .) }}
{{- end }}
{{- end }}

{{/* The head of an object: {root, name?, suffix?, component?, annotations?: map, labels?: map}. Gives name, namespace, labels, annotations. */}}
{{- define "service-lib.metadata" -}}
name: {{ .name | default (include "service-lib.fullname" .) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "service-lib.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- include "service-lib.quotedMap" (dict "map" .) | nindent 2 }}
  {{- end }}
{{- with .annotations }}
annotations:
  {{- include "service-lib.quotedMap" (dict "map" .) | nindent 2 }}
{{- end }}
{{- end }}

{{/* A map as YAML with every value quoted: {map}. A label `on` or `123` would otherwise become a boolean or a number. */}}
{{- define "service-lib.quotedMap" -}}
{{- $lines := list -}}
{{- range $key, $value := .map -}}
{{- $lines = append $lines (printf "%s: %s" $key (include "service-lib.text" (dict "value" $value) | quote)) -}}
{{- end -}}
{{- join "\n" $lines -}}
{{- end }}

{{/* A scalar as text: {value}. YAML's integers arrive as floats; 1000000 would become 1e+06. */}}
{{- define "service-lib.text" -}}
{{- if kindIs "float64" .value -}}
{{- if eq .value (float64 (int64 .value)) }}{{ int64 .value }}{{ else }}{{ .value }}{{ end -}}
{{- else -}}
{{- .value -}}
{{- end -}}
{{- end }}
