{{/* What is the api's own: {root}. The variables are described in services/api/README.md. */}}
{{- define "api.env" -}}
{{- with .root.Values -}}
DATABASE_URL: {{ include "service-lib.mysqlUrl" (dict "database" .database "purpose" "db") | quote }}
{{- if .database.tls.enabled }}
DB_TLS_CA: /etc/redprint/mysql-ca/ca.crt
{{- end }}
AUTH_ISSUER: {{ .tokens.issuer | quote }}
AUTH_JWKS_URL: {{ .tokens.jwksUrl | quote }}
# As the worker's: whoever takes a job has to find its upload.
JOB_FILES: database
STATE_URL: {{ include "service-lib.valkeyUrl" (dict "server" .state "purpose" "state") | quote }}
{{- end }}
{{- end }}

{{/* The Secrets the api mounts: {root} */}}
{{- define "api.secrets" -}}
{{- with .root.Values -}}
{{ include "service-lib.mysqlSecrets" (dict "purpose" "db" "secret" .database.existingSecret "tls" .database.tls) }}
- name: state
  secret: {{ .state.existingSecret | quote }}
  path: /etc/redprint/secrets/state
{{- end }}
{{- end }}
