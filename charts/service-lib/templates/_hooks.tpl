{{/*
Jobs and pods Helm runs at certain moments. They exist before or beside the release, so they use nothing of it: no ConfigMap, no
ServiceAccount, no policy that the release itself would bring.
*/}}

{{/*
The migration of a service's database, or nothing: {root, package, grants: list of "role=user"}. On install AND upgrade: a failed first
install is repeated as an upgrade. It runs before any workload changes, so a failure leaves the old pods serving; the failed
Job stays for its log, which Helm also prints. Its policy comes as a hook as well, because the release's own come later.
*/}}
{{- define "service-lib.migration" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $name := dict "root" $root "suffix" "migrate" "component" "migration" -}}
{{- $database := $values.database -}}
{{- $url := include "service-lib.mysqlUrl" (dict "database" (merge (dict "user" $database.ddl.user) $database) "purpose" "db-ddl") -}}
{{- $secrets := include "service-lib.mysqlSecrets" (dict "purpose" "db-ddl" "secret" $database.ddl.existingSecret "tls" $database.tls) | fromYamlArray -}}
{{- $own := dict "DATABASE_URL" $url -}}
{{- if $database.tls.enabled }}{{ $_ := set $own "DB_TLS_CA" "/etc/redprint/mysql-ca/ca.crt" }}{{ end -}}
{{- $args := list "python" "-m" "common.db.migrate" .package "--wait" (int64 $values.migration.waitSeconds | toString) -}}
{{- range .grants }}{{ $args = concat $args (list "--grant" .) }}{{ end -}}
{{- if $values.migration.enabled -}}
{{- include "service-lib.demandLess" (dict "what" "migration.waitSeconds" "is" $values.migration.waitSeconds "than" "migration.activeDeadlineSeconds" "limit" $values.migration.activeDeadlineSeconds) -}}
{{- $before := dict "helm.sh/hook" "pre-install,pre-upgrade" "helm.sh/hook-weight" "-10" "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" -}}
{{- include "service-lib.serviceAccount" (merge (dict "annotations" $before) $name) }}
{{- if $values.networkPolicy.enabled }}
---
{{- $egress := list
  (include "service-lib.egressToDns" dict)
  (include "service-lib.egressToApp" (dict "app" "mysql" "port" (int64 $database.port)))
  (include "service-lib.egressToCidrs" (dict "cidrs" $values.networkPolicy.egressCidrs)) }}
{{ include "service-lib.networkPolicy" (merge (dict "annotations" $before "egress" $egress) $name) }}
{{- end }}
---
apiVersion: batch/v1
kind: Job
metadata:
  {{- $hook := dict "helm.sh/hook-weight" "0" "helm.sh/hook-output-log-policy" "hook-failed" }}
  {{- include "service-lib.metadata" (merge (dict "annotations" (merge $hook $before)) $name) | nindent 2 }}
spec:
  backoffLimit: 1
  activeDeadlineSeconds: {{ int64 $values.migration.activeDeadlineSeconds }}
  template:
    metadata:
      labels:
        {{- include "service-lib.podLabels" (merge (dict "clients" (list "db-client")) $name) | nindent 8 }}
    spec:
      {{- include "service-lib.podSpec" (dict "root" $root "workload" $values "serviceAccount" (include "service-lib.fullname" $name)) | nindent 6 }}
      restartPolicy: Never
      containers:
        {{- include "service-lib.container" (dict
          "root" $root "name" "migrate" "resources" $values.migration.resources "secrets" $secrets "args" $args
          "env" (include "service-lib.env" (dict "root" $root "own" $own "env" dict) | fromYaml)) | nindent 8 }}
      volumes:
        {{- include "service-lib.secretVolumes" (dict "secrets" $secrets) | nindent 8 }}
        {{- include "service-lib.emptyDir" (dict "name" "tmp" "sizeLimit" "64Mi") | nindent 8 }}
{{- end }}
{{- end }}

{{/*
The pod of `helm test`: {root, env: map, secrets?: list, clients: list, egress: list of texts}. It runs the chart's files/test.py in the
service's own image, so nothing else has to be pulled, and prints what it saw. Names are fixed; what is left of an earlier test is
replaced.
*/}}
{{- define "service-lib.test" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $name := dict "root" $root "suffix" "test" "component" "test" -}}
{{- $before := dict "helm.sh/hook" "test" "helm.sh/hook-weight" "-10" "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" -}}
{{- $secrets := .secrets | default list -}}
{{- if $values.tests.enabled -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "service-lib.metadata" (merge (dict "annotations" $before) $name) | nindent 2 }}
data:
  test.py: |
    {{- $root.Files.Get "files/test.py" | trimSuffix "\n" | nindent 4 }}
---
{{ include "service-lib.serviceAccount" (merge (dict "annotations" $before) $name) }}
{{- if $values.networkPolicy.enabled }}
---
{{ include "service-lib.networkPolicy" (merge (dict "annotations" $before "egress" (prepend .egress (include "service-lib.egressToDns" dict))) $name) }}
{{- end }}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "service-lib.fullname" $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "service-lib.podLabels" (merge (dict "clients" .clients) $name) | nindent 4 }}
  annotations:
    {{- $hook := dict "helm.sh/hook-weight" "0" "helm.sh/hook-output-log-policy" "hook-failed" }}
    {{- include "service-lib.quotedMap" (dict "map" (merge $hook $before)) | nindent 4 }}
spec:
  {{- include "service-lib.podSpec" (dict "root" $root "workload" $values "serviceAccount" (include "service-lib.fullname" $name)) | nindent 2 }}
  restartPolicy: Never
  activeDeadlineSeconds: 240
  containers:
    {{- include "service-lib.container" (dict
      "root" $root "name" "test" "resources" $values.tests.resources "secrets" $secrets "args" (list "python" "/test/test.py")
      "mounts" (list "- name: script\n  mountPath: /test\n  readOnly: true")
      "env" (include "service-lib.env" (dict "root" $root "own" .env "env" dict) | fromYaml)) | nindent 4 }}
  volumes:
    {{- with $secrets }}
    {{- include "service-lib.secretVolumes" (dict "secrets" .) | nindent 4 }}
    {{- end }}
    {{- include "service-lib.emptyDir" (dict "name" "tmp" "sizeLimit" "64Mi") | nindent 4 }}
    - name: script
      configMap:
        name: {{ include "service-lib.fullname" $name }}
{{- end }}
{{- end }}
