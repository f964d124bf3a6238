{{/*
An image: {root, image: {registry?, repository, tag?, digest?}}. global.imageRegistry goes before the image's own registry, so
that one value moves all images of a release to a mirror. A digest wins over the tag.
*/}}
{{- define "service-lib.image" -}}
{{- $registry := (.root.Values.global | default dict).imageRegistry | default .image.registry -}}
{{- $name := empty $registry | ternary .image.repository (printf "%s/%s" (trimSuffix "/" ($registry | default "")) .image.repository) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name .image.tag -}}
{{- end -}}
{{- end }}

{{/* imagePullSecrets of a pod, or nothing: {root, image: {pullSecrets?}}. Those of global.imagePullSecrets come first. */}}
{{- define "service-lib.imagePullSecrets" -}}
{{- $names := concat ((.root.Values.global | default dict).imagePullSecrets | default list) (.image.pullSecrets | default list) | uniq -}}
{{- with $names -}}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/*
What runs, as text: {root, image?}, image is .Values.image unless told otherwise. The tag without a digest behind it, else the
digest's first 12 digits, else the chart's appVersion; always valid as a label.
*/}}
{{- define "service-lib.version" -}}
{{- $image := .image | default .root.Values.image | default dict -}}
{{- $tag := $image.tag | default "" | toString | splitList "@" | first -}}
{{- $digest := $image.digest | default "" | trimPrefix "sha256:" | trunc 12 -}}
{{- $tag | default $digest | default .root.Chart.AppVersion | default "unknown" | toString | replace "+" "_" | trunc 63 | trimAll "-_." -}}
{{- end }}
