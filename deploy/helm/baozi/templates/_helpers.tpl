{{- define "baozi.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "baozi.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "baozi.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "baozi.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "baozi.selector" -}}
app.kubernetes.io/name: {{ include "baozi.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "baozi.redisSelector" -}}
app.kubernetes.io/name: {{ include "baozi.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: redis
{{- end -}}

{{- define "baozi.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "baozi.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "baozi.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "baozi.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository .Values.image.tag -}}
{{- end -}}
{{- end -}}

{{/* What cannot be right together. */}}
{{- define "baozi.check" -}}
{{- if and .Values.hpa.enabled .Values.keda.enabled -}}
{{- fail "hpa.enabled and keda.enabled are both true, and would fight over the number of replicas: KEDA makes an HPA of its own. Set hpa.enabled to false." -}}
{{- end -}}
{{- if and .Values.redis.enabled .Values.redis.url -}}
{{- fail "redis.enabled and redis.url are both set: take the chart's own Redis, or name yours." -}}
{{- end -}}
{{- range $which := list "hpa" "keda" -}}
{{- $it := index $.Values $which -}}
{{- if and $it.enabled (gt (int $it.minReplicas) (int $it.maxReplicas)) -}}
{{- fail (printf "%s.minReplicas (%d) is more than %s.maxReplicas (%d)." $which (int $it.minReplicas) $which (int $it.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.hpa.enabled (not .Values.hpa.cpuUtilization) (not .Values.hpa.queueLength) -}}
{{- fail "hpa.enabled needs hpa.cpuUtilization, hpa.queueLength or both." -}}
{{- end -}}
{{- $cpu := dig "requests" "cpu" "" .Values.resources -}}
{{- if and (or (and .Values.hpa.enabled .Values.hpa.cpuUtilization) (and .Values.keda.enabled .Values.keda.cpuUtilization)) (not $cpu) -}}
{{- fail "scaling by CPU is a share of resources.requests.cpu, which is not set; `baozi inspect baozi.yaml --resources` proposes one." -}}
{{- end -}}
{{- if not (or .Values.models .Values.pipelines) -}}
{{- fail "there is nothing to serve: set models." -}}
{{- end -}}
{{- range $key := list "http" "fleet" "prepared" "models" "pipelines" "cascades" -}}
{{- if hasKey $.Values.config $key -}}
{{- $own := dict "http" "port and drain" "fleet" "drain and agent" "prepared" "prepared" "models" "models" "pipelines" "pipelines" "cascades" "cascades" -}}
{{- if or (has $key (list "models" "pipelines" "cascades")) (not (kindIs "map" (index $.Values.config $key))) -}}
{{- fail (printf "config.%s is set by a value of its own: %s." $key (index $own $key)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* baozi.yaml: what the chart knows goes over what `config` says. */}}
{{- define "baozi.config" -}}
{{- $http := dict "host" "0.0.0.0" "port" (int .Values.port) "drain_timeout_ms" (mul (int .Values.drain.timeoutSeconds) 1000) -}}
{{- $fleet := dict "drain_delay_ms" (mul (int .Values.drain.delaySeconds) 1000) -}}
{{- if .Values.agent.enabled -}}
{{- $_ := set $fleet "agent" (dict "host" "0.0.0.0" "port" (int .Values.agent.port)) -}}
{{- end -}}
{{- $ours := dict "http" $http "fleet" $fleet "prepared" (dict "folder" .Values.prepared.folder) "models" .Values.models -}}
{{- with .Values.pipelines -}}{{- $_ := set $ours "pipelines" . -}}{{- end -}}
{{- with .Values.cascades -}}{{- $_ := set $ours "cascades" . -}}{{- end -}}
{{- if .Values.redis.enabled -}}
{{- $_ := set $ours "cache" (dict "redis" (printf "redis://%s-redis:6379/0" (include "baozi.fullname" .))) -}}
{{- else if .Values.redis.url -}}
{{- $_ := set $ours "cache" (dict "redis" .Values.redis.url) -}}
{{- end -}}
{{- mergeOverwrite (deepCopy .Values.config) $ours | toYaml -}}
{{- end -}}
