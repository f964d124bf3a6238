{{/*
A map as a container's `env`, sorted by name and quoted: {env: map of scalars}. A map cannot hold a name twice, which the API
server would refuse. Nothing at all is left out: an empty text is a value.
*/}}
{{- define "service-lib.envMap" -}}
{{- $lines := list -}}
{{- range $name, $value := .env -}}
{{- $lines = append $lines (printf "- name: %s\n  value: %s" $name (include "service-lib.text" (dict "value" $value) | quote)) -}}
{{- end -}}
{{- join "\n" $lines -}}
{{- end }}

{{/*
Secrets as files: {secrets: list of {name, secret, path}}. The same list makes the pod's volumes and the container's mounts.
0440 with fsGroup: readable by the pod's group only.
*/}}
{{- define "service-lib.secretVolumes" -}}
{{- range $index, $_ := .secrets }}
{{- if $index }}{{ "\n" }}{{ end -}}
- name: {{ .name }}
  secret:
    secretName: {{ .secret | quote }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- define "service-lib.secretMounts" -}}
{{- range $index, $_ := .secrets }}
{{- if $index }}{{ "\n" }}{{ end -}}
- name: {{ .name }}
  mountPath: {{ .path }}
  readOnly: true
{{- end }}
{{- end }}
