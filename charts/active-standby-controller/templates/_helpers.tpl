{{- /* The chart's name stands in full here, because .Chart.Name is the alias where another chart depends on this one. */ -}}

{{- /* The name of the Deployment. Those of other objects begin with it. A Service's, with -metrics, has 63 characters at most. */ -}}
{{- define "active-standby-controller.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "active-standby-controller" $name) -}}
{{- $name = printf "%s-active-standby-controller" $name -}}
{{- end -}}
{{- .Values.fullnameOverride | default $name | trunc 55 | trimSuffix "-" -}}
{{- end -}}

{{- define "active-standby-controller.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "active-standby-controller.fullname" .) -}}
{{- end -}}

{{- define "active-standby-controller.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default (printf "v%s" .Chart.AppVersion)) -}}
{{- with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- /* The labels by which the release's pods are found. */ -}}
{{- define "active-standby-controller.selectorLabels" -}}
app.kubernetes.io/name: active-standby-controller
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "active-standby-controller.labels" -}}
{{ include "active-standby-controller.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: active-standby-controller-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "active-standby-controller.metadata" -}}
name: {{ include "active-standby-controller.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "active-standby-controller.labels" . | nindent 2 }}
{{- end -}}

{{- /*
The objects of a file of manifests/, of which files/ has a copy: named after the release, in its namespace, and with
references to its ServiceAccount. Of the arguments, "root" is the chart's scope, "file" the file, and "namespace" that of
objects without one.
*/ -}}
{{- define "active-standby-controller.manifest" -}}
{{- $root := .root -}}
{{- $namespace := .namespace -}}
{{- $fullname := include "active-standby-controller.fullname" $root -}}
{{- $account := dict "name" (include "active-standby-controller.serviceAccountName" $root) "namespace" $root.Release.Namespace -}}
{{- range regexSplit "(?m)^---$" ($root.Files.Get (printf "files/%s" .file)) -1 }}
{{- $object := fromYaml . }}
{{- $metadata := $object.metadata }}
{{- $_ := set $metadata "name" (replace "active-standby-controller" $fullname $metadata.name) }}
{{- $_ := set $metadata "labels" (include "active-standby-controller.labels" $root | fromYaml) }}
{{- if eq (get $metadata "namespace") "kube-system" }}
{{- $_ := set $metadata "namespace" $root.Release.Namespace }}
{{- else if $namespace }}
{{- $_ := set $metadata "namespace" $namespace }}
{{- end }}
{{- with $object.roleRef }}
{{- $_ := set . "name" (replace "active-standby-controller" $fullname .name) }}
{{- end }}
{{- range $object.subjects }}
{{- $_ := mergeOverwrite . $account }}
{{- end }}
{{- with $object.spec }}
{{- if .policyName }}
{{- $_ := set . "policyName" (replace "active-standby-controller" $fullname .policyName) }}
{{- with $root.Values.namespaces }}
{{- $only := dict "key" "kubernetes.io/metadata.name" "operator" "In" "values" . }}
{{- $_ := set $object.spec "matchResources" (dict "namespaceSelector" (dict "matchExpressions" (list $only))) }}
{{- end }}
{{- end }}
{{- with .paramRef }}
{{- $_ := mergeOverwrite . $account }}
{{- end }}
{{- end }}
---
{{ toYaml $object }}
{{- end }}
{{- end -}}
