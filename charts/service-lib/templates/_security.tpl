{{/*
What the `restricted` pod security standard asks of a pod: {uid, gid?, fsGroup?, onRootMismatch?: bool}. Group and fsGroup are the
user's own number unless told otherwise; mounted Secrets are read through fsGroup. onRootMismatch is for large volumes: without it
the kubelet walks through all of the volume at each start.
*/}}
{{- define "service-lib.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ int64 .uid }}
runAsGroup: {{ int64 (.gid | default .uid) }}
fsGroup: {{ int64 (.fsGroup | default .gid | default .uid) }}
{{- if .onRootMismatch }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The same of a container: {writable?: bool}. `writable` makes the root filesystem writable: for file sync in development only. */}}
{{- define "service-lib.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: {{ not .writable }}
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* A ServiceAccount of its own for a workload, without a token: {root, name?, suffix?, component?, annotations?}. */}}
{{- define "service-lib.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "service-lib.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end }}
