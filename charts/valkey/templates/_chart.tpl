{{/*
What the account `broker` may do: what kombu's transport and Celery's remote control were seen to send (all of it with keys of their own),
and the commands their other branches use. No command takes a look around (KEYS, SCAN, INFO) or touches the server. {root}
*/}}
{{- define "valkey.broker" -}}
{{- $keys := list "_kombu.binding*" "unacked" "unacked_index" "unacked_mutex" "celery@*.celery.pidbox*" "*.reply.celery.pidbox*" -}}
{{- range .root.Values.broker.stores }}{{ $keys = append $keys (printf "%s.*" .) }}{{ end -}}
{{- $channels := list "/0.celery.pidbox" "/0.celeryev*" "/0.*reply.celery.pidbox" -}}
{{- $commands := splitList " " "auth hello ping quit reset select client|id client|setinfo client|setname multi exec discard watch unwatch publish subscribe unsubscribe psubscribe punsubscribe get set del exists expire time llen lpush rpush lpop rpop brpop lrem sadd srem smembers sismember scard hget hset hdel zadd zrem zscore zcard zrange zrangebyscore zrevrangebyscore eval evalsha script|load script|exists" -}}
{{- range $keys }} ~{{ . }}{{ end }}{{ range $channels }} &{{ . }}{{ end }} -@all{{ range $commands }} +{{ . }}{{ end }}
{{- end }}
