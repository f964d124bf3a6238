{{/* What is auth's own: {root}. The variables are described in services/auth/README.md. */}}
{{- define "auth.env" -}}
{{- with .root.Values -}}
DATABASE_URL: {{ include "service-lib.mysqlUrl" (dict "database" .database "purpose" "db") | quote }}
{{- if .database.tls.enabled }}
DB_TLS_CA: /etc/redprint/mysql-ca/ca.crt
{{- end }}
AUTH_ISSUER: {{ .tokens.issuer | quote }}
AUTH_KEYS_DIR: /etc/redprint/keys
STATE_URL: {{ include "service-lib.valkeyUrl" (dict "server" .state "purpose" "state") | quote }}
{{- end }}
{{- end }}

{{/* The Secrets auth mounts: {root} */}}
{{- define "auth.secrets" -}}
{{- with .root.Values -}}
{{ include "service-lib.mysqlSecrets" (dict "purpose" "db" "secret" .database.existingSecret "tls" .database.tls) }}
- name: state
  secret: {{ .state.existingSecret | quote }}
  path: /etc/redprint/secrets/state
- name: keys
  secret: {{ .tokens.existingSecret | quote }}
  path: /etc/redprint/keys
{{- end }}
{{- end }}
