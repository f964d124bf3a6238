{{/*
Deployments and what goes with them. `workload` is the part of the values that describes one: replicas, autoscaling?,
podDisruptionBudget, rollout, resources, podAnnotations, nodeSelector, tolerations, affinity, priorityClassName. It is all
of .Values where a chart has one workload.
*/}}

{{/*
Ends the rendering unless a number is below another: {what, is, than, limit}. Here and not in the schema only because a schema cannot
compare two values; found by the API server, the migration would have run already.
*/}}
{{- define "service-lib.demandLess" -}}
{{- if ge (int64 .is) (int64 .limit) -}}
{{- fail (printf "%s (%d) has to be less than %s (%d)" .what (int64 .is) .than (int64 .limit)) -}}
{{- end -}}
{{- end }}

{{/* The user all our images run as; the number is in the Dockerfiles too. {} */}}
{{- define "service-lib.uid" -}}10001{{- end }}

{{/*
A Deployment: {root, component, suffix?, workload, clients: list, graceSeconds, container: text, secrets: list, volumes: list of texts}.
A rollout first starts one pod more and never takes a ready one away before. Where an autoscaler decides, `replicas` is left out as a
whole: server-side apply would fight over the field.
*/}}
{{- define "service-lib.deployment" -}}
{{- $workload := .workload -}}
{{- include "service-lib.demandLess" (dict "what" "rollout.minReadySeconds" "is" $workload.rollout.minReadySeconds "than" "rollout.progressDeadlineSeconds" "limit" $workload.rollout.progressDeadlineSeconds) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "service-lib.metadata" . | nindent 2 }}
spec:
  {{- if not ($workload.autoscaling | default dict).enabled }}
  replicas: {{ int64 $workload.replicas }}
  {{- end }}
  minReadySeconds: {{ int64 $workload.rollout.minReadySeconds }}
  progressDeadlineSeconds: {{ int64 $workload.rollout.progressDeadlineSeconds }}
  revisionHistoryLimit: {{ int64 $workload.rollout.revisionHistoryLimit }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- include "service-lib.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "service-lib.podLabels" . | nindent 8 }}
      {{- $annotations := merge (dict) ($workload.podAnnotations | default dict) (include "service-lib.metricsAnnotations" . | fromYaml) }}
      {{- with $annotations }}
      annotations:
        {{- include "service-lib.quotedMap" (dict "map" .) | nindent 8 }}
      {{- end }}
    spec:
      {{- include "service-lib.podSpec" (dict "root" .root "workload" $workload "serviceAccount" (include "service-lib.fullname" .)) | nindent 6 }}
      topologySpreadConstraints:
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "service-lib.selectorLabels" $ | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      terminationGracePeriodSeconds: {{ int64 .graceSeconds }}
      containers:
        {{- .container | nindent 8 }}
      volumes:
        {{- compact (prepend .volumes (include "service-lib.secretVolumes" .)) | join "\n" | nindent 8 }}
{{- end }}

{{/* What the pods of Deployments, migrations and tests have in common: {root, workload, serviceAccount: name} */}}
{{- define "service-lib.podSpec" -}}
serviceAccountName: {{ .serviceAccount }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with include "service-lib.imagePullSecrets" (dict "root" .root "image" .root.Values.image) }}
{{ . }}
{{- end }}
securityContext:
  {{- include "service-lib.podSecurityContext" (dict "uid" (include "service-lib.uid" dict)) | nindent 2 }}
{{- with .workload.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .workload.nodeSelector }}
nodeSelector:
  {{- include "service-lib.quotedMap" (dict "map" .) | nindent 2 }}
{{- end }}
{{- with .workload.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .workload.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
A container of the release's image: {root, name, resources, env: map, envFrom?: list, args?: list, ports?: map of name to number, secrets?,
mounts?: list of texts, more?: text (probes, lifecycle)}. It can write to /tmp and to its mounts only.
*/}}
{{- define "service-lib.container" -}}
{{- $values := .root.Values -}}
- name: {{ .name }}
  image: {{ include "service-lib.image" (dict "root" .root "image" $values.image) | quote }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  {{- with .args }}
  args: {{ toJson . }}
  {{- end }}
  {{- with .ports }}
  ports:
    {{- range $name, $number := . }}
    - name: {{ $name }}
      containerPort: {{ $number }}
    {{- end }}
  {{- end }}
  env:
    {{- include "service-lib.envMap" . | nindent 4 }}
  {{- with .envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .more }}
  {{- . | nindent 2 }}
  {{- end }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    {{- include "service-lib.containerSecurityContext" (dict "writable" $values.dev.enabled) | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- with compact (prepend (.mounts | default list) (include "service-lib.secretMounts" .)) }}
    {{- join "\n" . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* An emptyDir: {name, sizeLimit, memory?: bool}. In memory it counts towards the memory limit of the container that writes. */}}
{{- define "service-lib.emptyDir" -}}
- name: {{ .name }}
  emptyDir:
    {{- if .memory }}
    medium: Memory
    {{- end }}
    sizeLimit: {{ .sizeLimit }}
{{- end }}

{{/* Variables of every container, as YAML: {root}. Where development's own defaults are those of a laptop, these are a pod's. */}}
{{- define "service-lib.baseEnv" -}}
APP_ENV: {{ .root.Values.appEnv | quote }}
LOG_FORMAT: json
RELEASE: {{ include "service-lib.version" . | quote }}
TMPDIR: /tmp
{{- end }}

{{/* Environment of a container, as YAML: {root, own: map, env: map}. `env` comes from the values; the schema keeps it off the chart's own names. */}}
{{- define "service-lib.env" -}}
{{- merge (dict) (.env | default dict) .own (include "service-lib.baseEnv" . | fromYaml) | toYaml -}}
{{- end }}

{{/* A URL of MySQL whose password is in a file: {database: {host, port, name, user}, purpose}. Not a secret itself. */}}
{{- define "service-lib.mysqlUrl" -}}
{{- with .database -}}
mysql+pymysql://{{ .user }}@{{ .host }}:{{ int64 .port }}/{{ .name }}?charset=utf8mb4&password_file=/etc/redprint/secrets/{{ $.purpose }}/password
{{- end -}}
{{- end }}

{{/* A URL of Valkey whose password is in a file: {server: {host, port, db, user, tls: {enabled}}, purpose}. Not a secret itself. */}}
{{- define "service-lib.valkeyUrl" -}}
{{- with .server -}}
{{ .tls.enabled | ternary "rediss" "redis" }}://{{ .user }}@{{ .host }}:{{ int64 .port }}/{{ int64 .db }}?password_file=/etc/redprint/secrets/{{ $.purpose }}/password
{{- end -}}
{{- end }}

{{/* The Secrets a client of MySQL mounts, as a YAML list: {purpose, secret, tls: {enabled, caSecret}} */}}
{{- define "service-lib.mysqlSecrets" -}}
- name: {{ .purpose }}
  secret: {{ .secret | quote }}
  path: /etc/redprint/secrets/{{ .purpose }}
{{- if .tls.enabled }}
- name: mysql-ca
  secret: {{ .tls.caSecret | quote }}
  path: /etc/redprint/mysql-ca
{{- end }}
{{- end }}

{{/* An autoscaler on CPU, or nothing: {root, component, suffix?, workload} */}}
{{- define "service-lib.autoscaler" -}}
{{- $workload := .workload -}}
{{- if $workload.autoscaling.enabled -}}
{{- include "service-lib.demandLess" (dict "what" "autoscaling.minReplicas" "is" $workload.autoscaling.minReplicas "than" "autoscaling.maxReplicas + 1" "limit" (add1 $workload.autoscaling.maxReplicas)) -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "service-lib.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "service-lib.fullname" . }}
  minReplicas: {{ int64 $workload.autoscaling.minReplicas }}
  maxReplicas: {{ int64 $workload.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ int64 $workload.autoscaling.targetCPUPercent }}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: {{ int64 $workload.autoscaling.scaleDownStabilizationSeconds }}
{{- end }}
{{- end }}

{{/*
A PodDisruptionBudget, or nothing: {root, component, suffix?, workload}. Only where at least two pods run: for a single one it would block
every drain of its node. A pod that is not ready anyway may always be evicted.
*/}}
{{- define "service-lib.disruptionBudget" -}}
{{- $workload := .workload -}}
{{- $scaling := $workload.autoscaling | default dict -}}
{{- $fewest := $scaling.enabled | default false | ternary $scaling.minReplicas $workload.replicas | int64 -}}
{{- if and $workload.podDisruptionBudget.enabled (gt $fewest 1) -}}
{{- include "service-lib.demandLess" (dict "what" "podDisruptionBudget.maxUnavailable" "is" $workload.podDisruptionBudget.maxUnavailable "than" "the number of pods" "limit" $fewest) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "service-lib.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ int64 $workload.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "service-lib.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}
