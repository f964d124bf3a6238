{{/*
NetworkPolicies of least privilege. The pieces each give items of an `ingress` or `egress` list; a chart puts them together in
one policy for each workload, complete for it, so that it works with and without a default-deny policy in the namespace.
*/}}

{{/*
One policy: {root, component, name?, suffix?, ingress: list of texts, egress: list of texts}. Both directions are always restricted;
empty texts are left out, and where none is left nothing is allowed.
*/}}
{{- define "service-lib.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "service-lib.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "service-lib.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- compact (.ingress | default list) | join "\n" | default "[]" | nindent 4 }}
  egress:
    {{- compact (.egress | default list) | join "\n" | default "[]" | nindent 4 }}
{{- end }}

{{/* Pods of this namespace with a label redprint.dev/<client>: {clients: list, port: name or number} */}}
{{- define "service-lib.ingressFromClients" -}}
- from:
    {{- range .clients }}
    - podSelector:
        matchLabels:
          redprint.dev/{{ . }}: "true"
    {{- end }}
  ports:
    - port: {{ .port }}
      protocol: TCP
{{- end }}

{{/* All pods of some namespaces, or nothing: {namespaces: list, port} */}}
{{- define "service-lib.ingressFromNamespaces" -}}
{{- if .namespaces -}}
- from:
    {{- range .namespaces }}
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ . | quote }}
    {{- end }}
  ports:
    - port: {{ .port }}
      protocol: TCP
{{- end }}
{{- end }}

{{/* The monitoring namespace to the metrics port, unless metrics.mode is none: {root, port?}. Needs networkPolicy.monitoringNamespace. */}}
{{- define "service-lib.ingressFromMonitoring" -}}
{{- if ne .root.Values.metrics.mode "none" }}
{{- include "service-lib.ingressFromNamespaces" (dict "namespaces" (list .root.Values.networkPolicy.monitoringNamespace) "port" (.port | default "metrics")) }}
{{- end }}
{{- end }}

{{/* The cluster's DNS: {}. TCP too, for answers that do not fit a datagram. */}}
{{- define "service-lib.egressToDns" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
  ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- end }}

{{/* Pods of this namespace by app.kubernetes.io/name: {app, port: a number, for not all network plugins know names here} */}}
{{- define "service-lib.egressToApp" -}}
- to:
    - podSelector:
        matchLabels:
          app.kubernetes.io/name: {{ .app | quote }}
  ports:
    - port: {{ .port }}
      protocol: TCP
{{- end }}

{{/*
Addresses outside the cluster, or nothing: {cidrs: list of {cidr, ports}}. The cloud's metadata service, which hands out the node's
credentials, is taken out of every range that holds it.
*/}}
{{- define "service-lib.egressToCidrs" -}}
{{- range $index, $_ := .cidrs }}
{{- if $index }}{{ "\n" }}{{ end -}}
- to:
    - ipBlock:
        cidr: {{ .cidr | quote }}
        {{- if include "service-lib.holdsMetadataService" (dict "cidr" .cidr) }}
        except:
          - {{ contains ":" .cidr | ternary "fd00:ec2::254/128" "169.254.169.254/32" }}
        {{- end }}
  ports:
    {{- range .ports }}
    - port: {{ int64 . }}
      protocol: TCP
    {{- end }}
{{- end }}
{{- end }}

{{/*
"true" where a range holds the metadata service: {cidr}. IPv6 is compared as written, as everything or as the usual private
ranges (fc00::/7, fd00::/8 to /16, fd00:ec2::/32 and narrower). An exception outside of its range would be
refused by the API server, so it cannot simply always be written. 2852039166 is 169.254.169.254 as a number.
*/}}
{{- define "service-lib.holdsMetadataService" -}}
{{- $parts := splitList "/" .cidr -}}
{{- if contains ":" .cidr -}}
{{- $head := lower (first $parts) -}}
{{- $bits := int64 (last $parts) -}}
{{- $private := or (and (eq $head "fc00::") (le $bits 7)) (and (eq $head "fd00::") (le $bits 16)) -}}
{{- if or (eq $bits 0) $private (and (eq $head "fd00:ec2::") (le $bits 112)) }}true{{ end -}}
{{- else -}}
{{- $address := 0 -}}
{{- range splitList "." (first $parts) }}{{ $address = add (mul $address 256) (int64 .) }}{{ end -}}
{{- $size := 1 -}}
{{- range until (int (sub 32 (int64 (last $parts)))) }}{{ $size = mul $size 2 }}{{ end -}}
{{- if eq (div $address $size) (div 2852039166 $size) }}true{{ end -}}
{{- end -}}
{{- end }}
