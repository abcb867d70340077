{{/* The table of services with the values of each. */}}

{{/* A further cell is a row of its own, store-NAME, made from store's: whoever calls store calls it too. `role` is what runs. */}}
{{- define "merpati.table" -}}
{{- $table := .Files.Get "files/services.yaml" | fromYaml -}}
{{- $stores := include "merpati.stores" . | fromYamlArray -}}
{{- range $name, $row := $table -}}
{{- $_ := set $row "role" $name -}}
{{- if has "store" $row.calls -}}{{- $_ := set $row "calls" (concat $row.calls (rest $stores)) -}}{{- end -}}
{{- end -}}
{{- range rest .Values.stores -}}
{{- $_ := set $table (printf "store-%s" .name) (set (deepCopy (get $table "store")) "cell" .name) -}}
{{- end -}}
{{- toYaml $table -}}
{{- end -}}

{{/* merpati.service (list ROOT NAME): the row of the table, defaults and services.NAME, merged, as YAML. */}}
{{- define "merpati.service" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $row := get (include "merpati.table" $root | fromYaml) $name -}}
{{- $values := mustMergeOverwrite (deepCopy $root.Values.defaults) (deepCopy (get $root.Values.services $row.role | default dict)) -}}
{{- if not (kindIs "invalid" $values.replicas) -}}
{{- else -}}
{{- $_ := set $values "replicas" (ternary 1 2 $root.Values.evaluation.enabled) -}}
{{- end -}}
{{- $_ := set $values "name" $name -}}
{{- $_ := set $values "fullname" (printf "%s-%s" (include "merpati.fullname" $root) $name) -}}
{{- $_ := set $values "grace" (ternary $root.Values.gracePeriod.edge $root.Values.gracePeriod.backend (eq $row.kind "edge")) -}}
{{- toYaml (merge $row $values) -}}
{{- end -}}

{{/* The stores of all cells, one name a line: store, store-NAME, ... */}}
{{- define "merpati.stores" -}}
- store
{{- range rest .Values.stores }}
- store-{{ .name }}
{{- end }}
{{- end -}}

{{/* merpati.store (list ROOT COMPONENT): the entry of `stores` behind store or store-NAME. */}}
{{- define "merpati.store" -}}
{{- $component := index . 1 -}}
{{- $stores := (index . 0).Values.stores -}}
{{- $entry := first $stores -}}
{{- range rest $stores -}}{{- if eq $component (printf "store-%s" .name) -}}{{- $entry = . -}}{{- end -}}{{- end -}}
{{- $defaults := dict
  "database" (dict "existingSecret" "" "key" $component)
  "objects" (dict "endpoint" "" "bucket" (replace "store" "merpati" $component) "region" "us-east-1" "prefix" "" "pathStyle" true "existingSecret" "" "caSecret" "") -}}
{{- toYaml (mustMergeOverwrite $defaults (deepCopy $entry)) -}}
{{- end -}}

{{/* Refuses combinations that the schema cannot. */}}
{{- define "merpati.check" -}}
{{- if and (not .Values.evaluation.enabled) (not .Values.database.existingSecret) -}}
{{- fail "database.existingSecret is empty: name a Secret with the keys auth, store, filter, queue and admin, each a connection string (or set evaluation.enabled=true to try things out)" -}}
{{- end -}}
{{- $names := list -}}
{{- $stores := include "merpati.stores" . | fromYamlArray -}}
{{- range $i, $entry := .Values.stores -}}
{{- if has $entry.name $names -}}{{- fail (printf "stores[%d]: there is another cell %s" $i $entry.name) -}}{{- end -}}
{{- $names = append $names $entry.name -}}
{{- $store := include "merpati.store" (list $ (index $stores $i)) | fromYaml -}}
{{- if $.Values.evaluation.enabled -}}
{{- if or $.Values.database.existingSecret $store.objects.existingSecret $store.database.existingSecret -}}
{{- fail "evaluation.enabled brings its own PostgreSQL and object store: set evaluation.enabled=false to use yours" -}}
{{- end -}}
{{- else if or (not $store.objects.endpoint) (not $store.objects.existingSecret) -}}
{{- fail (printf "stores[%d].objects needs endpoint and existingSecret (keys access-key-id and secret-access-key)" $i) -}}
{{- end -}}
{{- end -}}
{{- if and (or .Values.otlp.caSecret .Values.otlp.headersSecret) (not (include "merpati.collector" .)) -}}
{{- fail "otlp names Secrets, but no traces are exported: set config.otlp.endpoint" -}}
{{- end -}}
{{- range list "internal" "mail" -}}
{{- $manager := get $.Values.certManager . -}}
{{- if and $manager.enabled (not $manager.issuerRef.name) -}}
{{- fail (printf "certManager.%s.issuerRef.name is empty: name the Issuer or ClusterIssuer" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
