{{/*
A service that speaks HTTP behind gunicorn: everything auth and api have in common. Its component is `web`, its ports are http 8080
and metrics 9090, and its values have the same names in every chart.
*/}}

{{/*
The Deployment: {root, env: map of the chart's own variables, secrets: list, clients: list}.
A pod that is to go first sleeps while its address is taken out of all tables, then finishes the requests at hand; the grace
period is made of both and 15 s, so that it cannot be too short.
*/}}
{{- define "service-lib.webDeployment" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $own := merge (dict) .env (include "service-lib.webEnv" . | fromYaml) -}}
{{- $mounts := list "- name: metrics\n  mountPath: /run/metrics" -}}
{{- $container := include "service-lib.container" (dict
  "root" $root "name" $root.Chart.Name "resources" $values.resources "secrets" .secrets "mounts" $mounts
  "ports" (dict "http" 8080 "metrics" 9090)
  "env" (include "service-lib.env" (dict "root" $root "own" $own "env" $values.env) | fromYaml)
  "envFrom" $values.extraEnvFrom
  "more" (include "service-lib.webHooksAndProbes" .)) -}}
{{- $volumes := list
  (include "service-lib.emptyDir" (dict "name" "tmp" "sizeLimit" $values.tmpSizeLimit))
  (include "service-lib.emptyDir" (dict "name" "metrics" "sizeLimit" "64Mi" "memory" true)) -}}
{{- include "service-lib.deployment" (dict
  "root" $root "component" "web" "workload" $values "clients" .clients "secrets" .secrets "volumes" $volumes
  "graceSeconds" (add $values.shutdown.preStopSeconds $values.shutdown.gracefulTimeoutSeconds 15)
  "container" $container) -}}
{{- end }}

{{- define "service-lib.webEnv" -}}
HOST: "0.0.0.0"
PORT: 8080
METRICS_PORT: 9090
GRACEFUL_TIMEOUT_SECONDS: {{ int64 .root.Values.shutdown.gracefulTimeoutSeconds }}
PROMETHEUS_MULTIPROC_DIR: /run/metrics
{{- end }}

{{/* Readiness asks the database, liveness never does: an outage there must not restart pods. */}}
{{- define "service-lib.webHooksAndProbes" -}}
{{- with .root.Values -}}
{{- if .shutdown.preStopSeconds -}}
lifecycle:
  preStop:
    sleep:
      seconds: {{ int64 .shutdown.preStopSeconds }}
{{ end -}}
startupProbe:
  httpGet:
    path: /livez
    port: http
  {{- toYaml .probes.startup | nindent 2 }}
livenessProbe:
  httpGet:
    path: /livez
    port: http
  {{- toYaml .probes.liveness | nindent 2 }}
readinessProbe:
  httpGet:
    path: /readyz
    port: http
  {{- toYaml .probes.readiness | nindent 2 }}
{{- end }}
{{- end }}

{{/* The Service: {root}. The metrics port is on it for a ServiceMonitor only. */}}
{{- define "service-lib.webService" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "service-lib.metadata" (dict "root" .root "component" "web") | nindent 2 }}
spec:
  type: ClusterIP
  selector:
    {{- include "service-lib.selectorLabels" (dict "root" .root "component" "web") | nindent 4 }}
  ports:
    - name: http
      port: 8080
      targetPort: http
    {{- if eq .root.Values.metrics.mode "operator" }}
    - name: metrics
      port: 9090
      targetPort: metrics
    {{- end }}
{{- end }}

{{/*
The policy of a web service: {root, client: name of the label its callers carry, egress: list of texts}. In: the ingress controllers'
namespaces, labelled pods, monitoring. Out: DNS, MySQL, what the chart adds, what the values add.
*/}}
{{- define "service-lib.webNetworkPolicy" -}}
{{- $values := .root.Values -}}
{{- $ingress := list
  (include "service-lib.ingressFromNamespaces" (dict "namespaces" $values.networkPolicy.ingressNamespaces "port" "http"))
  (include "service-lib.ingressFromClients" (dict "clients" (list .client) "port" "http"))
  (include "service-lib.ingressFromMonitoring" .) -}}
{{- $egress := list
  (include "service-lib.egressToDns" dict)
  (include "service-lib.egressToApp" (dict "app" "mysql" "port" (int64 $values.database.port)))
  (include "service-lib.egressToCidrs" (dict "cidrs" $values.networkPolicy.egressCidrs)) -}}
{{- if $values.networkPolicy.enabled -}}
{{- include "service-lib.networkPolicy" (dict "root" .root "component" "web" "ingress" $ingress "egress" (concat $egress .egress)) -}}
{{- end -}}
{{- end }}

{{/* An Ingress for all paths of a host, or nothing: {root} */}}
{{- define "service-lib.webIngress" -}}
{{- $ingress := .root.Values.ingress -}}
{{- if $ingress.enabled -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "service-lib.metadata" (dict "root" .root "component" "web" "annotations" $ingress.annotations) | nindent 2 }}
spec:
  {{- with $ingress.className }}
  ingressClassName: {{ . | quote }}
  {{- end }}
  {{- if $ingress.tls.enabled }}
  tls:
    - hosts:
        - {{ $ingress.host | quote }}
      secretName: {{ $ingress.tls.secretName | quote }}
  {{- end }}
  rules:
    - host: {{ $ingress.host | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "service-lib.fullname" . }}
                port:
                  name: http
{{- end }}
{{- end }}

{{/* A route of the Gateway API, or nothing: {root}. TLS ends at the gateway's listener. */}}
{{- define "service-lib.webHTTPRoute" -}}
{{- $route := .root.Values.httpRoute -}}
{{- if $route.enabled -}}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "service-lib.metadata" (dict "root" .root "component" "web" "annotations" $route.annotations) | nindent 2 }}
spec:
  parentRefs:
    {{- toYaml $route.parentRefs | nindent 4 }}
  hostnames:
    {{- toYaml $route.hostnames | nindent 4 }}
  rules:
    - matches:
        - path:
            type: PathPrefix
            value: /
      backendRefs:
        - name: {{ include "service-lib.fullname" . }}
          port: 8080
{{- end }}
{{- end }}
