{{/* MySQL's own, beside service-lib's. Each takes {root}. */}}

{{- define "mysql.image" -}}
{{- include "service-lib.image" (dict "root" .root "image" .root.Values.image) -}}
{{- end }}

{{/* What no schema can say, because it compares two values. */}}
{{- define "mysql.check" -}}
{{- $values := .root.Values -}}
{{- range $user, $_ := $values.users -}}
{{- if not (hasKey $values.databases .database) -}}
{{- fail (printf "users.%s.database is %q, which is not in databases" $user .database) -}}
{{- end -}}
{{- end -}}
{{- range $values.retiredUsers -}}
{{- if hasKey $values.users . -}}
{{- fail (printf "retiredUsers holds %q, which is also in users" .) -}}
{{- end -}}
{{- end -}}
{{- if and $values.image.tag (not (hasPrefix (printf "%s." $values.majorLine) $values.image.tag)) -}}
{{- fail (printf "image.tag is %q, which is not of majorLine %q: to go to another line, see README.md" $values.image.tag $values.majorLine) -}}
{{- end -}}
{{- end }}

{{/* A database's name in a GRANT, where _ would stand for any character: {name} */}}
{{- define "mysql.schema" -}}
{{- printf "`%s`.*" (replace "_" "\\_" .name) -}}
{{- end }}

{{/* A user with password and limit: {user, host, maxUserConnections}. The sidecar puts the password in. */}}
{{- define "mysql.user" -}}
CREATE USER IF NOT EXISTS `{{ .user }}`@`{{ .host }}` IDENTIFIED BY {password of {{ .user }}};
ALTER USER `{{ .user }}`@`{{ .host }}` IDENTIFIED BY {password of {{ .user }}} WITH MAX_USER_CONNECTIONS {{ int64 .maxUserConnections }};
{{- end }}

{{/* Users whose Secrets are mounted, with the Secret's name, as YAML */}}
{{- define "mysql.passwords" -}}
{{- $passwords := dict "exporter" .root.Values.exporter.existingSecret -}}
{{- range $user, $_ := .root.Values.systemUsers }}{{ $_ := set $passwords $user .existingSecret }}{{ end -}}
{{- range $user, $_ := .root.Values.users }}{{ $_ := set $passwords $user .existingSecret }}{{ end -}}
{{- toYaml $passwords -}}
{{- end }}
