{{/* The table of services with the values of each. */}}

{{- define "merpati.table" -}}{{- .Files.Get "files/services.yaml" -}}{{- end -}}

{{/* merpati.service (list ROOT NAME): the row of the table, defaults and services.NAME, merged, as YAML. */}}
{{- define "merpati.service" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $row := get (include "merpati.table" $root | fromYaml) $name -}}
{{- $values := mustMergeOverwrite (deepCopy $root.Values.defaults) (deepCopy (get $root.Values.services $name | default dict)) -}}
{{- if not (kindIs "invalid" $values.replicas) -}}
{{- else -}}
{{- $_ := set $values "replicas" (ternary 1 2 $root.Values.evaluation.enabled) -}}
{{- end -}}
{{- $_ := set $values "name" $name -}}
{{- $_ := set $values "fullname" (printf "%s-%s" (include "merpati.fullname" $root) $name) -}}
{{- $_ := set $values "grace" (ternary $root.Values.gracePeriod.edge $root.Values.gracePeriod.backend (eq $row.kind "edge")) -}}
{{- toYaml (merge $row $values) -}}
{{- end -}}

{{/* The one store: edges do not route by cell yet. */}}
{{- define "merpati.store" -}}
{{- if ne (len .Values.stores) 1 -}}
{{- fail "stores: this version keeps mail in exactly one store, because its edges do not route by cell; see docs/kubernetes.md" -}}
{{- end -}}
{{- $defaults := dict
  "database" (dict "existingSecret" "" "key" "store")
  "objects" (dict "endpoint" "" "bucket" "merpati" "region" "us-east-1" "prefix" "" "pathStyle" true "existingSecret" "" "caSecret" "") -}}
{{- toYaml (mustMergeOverwrite $defaults (deepCopy (first .Values.stores))) -}}
{{- end -}}

{{/* Refuses combinations that the schema cannot. */}}
{{- define "merpati.check" -}}
{{- $store := include "merpati.store" . | fromYaml -}}
{{- if .Values.evaluation.enabled -}}
{{- if or .Values.database.existingSecret $store.objects.existingSecret $store.database.existingSecret -}}
{{- fail "evaluation.enabled brings its own PostgreSQL and object store: set evaluation.enabled=false to use yours" -}}
{{- end -}}
{{- else -}}
{{- if not .Values.database.existingSecret -}}
{{- fail "database.existingSecret is empty: name a Secret with the keys auth, store, queue and admin, each a connection string (or set evaluation.enabled=true to try things out)" -}}
{{- end -}}
{{- if or (not $store.objects.endpoint) (not $store.objects.existingSecret) -}}
{{- fail "stores[0].objects needs endpoint and existingSecret (keys access-key-id and secret-access-key)" -}}
{{- end -}}
{{- end -}}
{{- range list "internal" "mail" -}}
{{- $manager := get $.Values.certManager . -}}
{{- if and $manager.enabled (not $manager.issuerRef.name) -}}
{{- fail (printf "certManager.%s.issuerRef.name is empty: name the Issuer or ClusterIssuer" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
