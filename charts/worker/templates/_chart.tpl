{{/* The job stores as a list of {store, database}, sorted by name: {root}. A store without host or port of its own takes the chart's. */}}
{{- define "worker.stores" -}}
{{- $database := .root.Values.database -}}
{{- range $store, $own := $database.stores }}
- store: {{ $store }}
  purpose: db-{{ $store }}
  secret: {{ $own.existingSecret | quote }}
  database: {{ merge (dict) $own (pick $database "host" "port") | toJson }}
{{- end }}
{{- end }}

{{/* Where the stores and the broker are, for both programs and the test: {root}. They are described in services/worker/README.md. */}}
{{- define "worker.env" -}}
{{- $urls := list -}}
{{- range include "worker.stores" . | fromYamlArray }}
{{- $urls = append $urls (printf "%s=%s" .store (include "service-lib.mysqlUrl" .)) -}}
{{- end -}}
{{- with .root.Values -}}
JOB_STORES: {{ join "," $urls | quote }}
{{- if .database.tls.enabled }}
DB_TLS_CA: /etc/redprint/mysql-ca/ca.crt
{{- end }}
BROKER_URL: {{ include "service-lib.valkeyUrl" (dict "server" .broker "purpose" "broker") | quote }}
{{- end }}
{{- end }}

{{/* Variables of a program beside those it shares with the test. {} */}}
{{- define "worker.programEnv" -}}
HOST: "0.0.0.0"
METRICS_PORT: 9090
RUN_DIR: /run/redprint
# A directory would have to be one for all pods of worker, dispatcher and services, and be saved together with the databases.
JOB_FILES: database
{{- end }}

{{/* The Secrets both programs mount: {root} */}}
{{- define "worker.secrets" -}}
{{- range include "worker.stores" . | fromYamlArray }}
{{ include "service-lib.mysqlSecrets" (merge (dict "tls" (dict "enabled" false)) .) }}
{{- end }}
{{- with .root.Values }}
{{- if .database.tls.enabled }}
- name: mysql-ca
  secret: {{ .database.tls.caSecret | quote }}
  path: /etc/redprint/mysql-ca
{{- end }}
- name: broker
  secret: {{ .broker.existingSecret | quote }}
  path: /etc/redprint/secrets/broker
{{- end }}
{{- end }}

{{/* Ways out of both programs and of the test besides DNS, as a YAML list of texts: {root} */}}
{{- define "worker.egress" -}}
{{- $ports := list -}}
{{- range include "worker.stores" . | fromYamlArray }}{{ $ports = append $ports (int64 .database.port) }}{{ end -}}
{{- range uniq $ports }}
- {{ include "service-lib.egressToApp" (dict "app" "mysql" "port" .) | toJson }}
{{- end }}
{{- with .root.Values }}
- {{ include "service-lib.egressToApp" (dict "app" "valkey" "port" (int64 .broker.port)) | toJson }}
- {{ include "service-lib.egressToCidrs" (dict "cidrs" .networkPolicy.egressCidrs) | toJson }}
{{- end }}
{{- end }}

{{/*
One of the two programs: {root, component, suffix?, workload, args?, ownEnv: map, graceSeconds, mounts: list, volumes: list, probes: text}.
*/}}
{{- define "worker.program" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $secrets := include "worker.secrets" . | fromYamlArray -}}
{{- $own := merge (dict) .ownEnv (include "worker.programEnv" dict | fromYaml) (include "worker.env" . | fromYaml) -}}
{{- $run := list "- name: run\n  mountPath: /run/redprint" -}}
{{- $container := include "service-lib.container" (dict
  "root" $root "name" .component "resources" .workload.resources "secrets" $secrets "args" .args
  "ports" (dict "metrics" 9090)
  "env" (include "service-lib.env" (dict "root" $root "own" $own "env" $values.env) | fromYaml)
  "envFrom" $values.extraEnvFrom
  "mounts" (concat $run .mounts)
  "more" .probes) -}}
{{- $volumes := list
  (include "service-lib.emptyDir" (dict "name" "tmp" "sizeLimit" $values.tmpSizeLimit))
  (include "service-lib.emptyDir" (dict "name" "run" "sizeLimit" "1Mi" "memory" true)) -}}
{{- include "service-lib.deployment" (merge (dict
  "clients" (list "db-client" "broker-client") "secrets" $secrets "container" $container
  "volumes" (concat $volumes .volumes)) .) -}}
{{- end }}
