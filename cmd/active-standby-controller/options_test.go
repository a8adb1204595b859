package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		namespaces, want []string
		err              string
	}{
		"no namespace stands for all":            {},
		"each namespace is named once, in order": {namespaces: []string{"b", "a", "b"}, want: []string{"a", "b"}},
		"a name is not valid":                    {namespaces: []string{"a", "B_"}, err: `--namespaces: "B_" is not the name of a namespace: ` + validation.IsDNS1123Label("B_")[0]},
		"a name is empty after a comma":          {namespaces: []string{"a", ""}, err: `--namespaces: "" is not the name of a namespace: ` + validation.IsDNS1123Label("")[0]},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := newOptions()
			o.namespaces = slices.Clone(test.namespaces)
			err := o.validate()
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("error %v, want\n%s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(test.want, o.namespaces); diff != "" {
				t.Errorf("namespaces (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaultRouting(t *testing.T) {
	for value, want := range map[string]string{
		"selector": "", "endpointslice": "",
		"label": `--default-routing: "label" is not valid; allowed: "selector" or "endpointslice"`,
		"":      `--default-routing: "" is not valid; allowed: "selector" or "endpointslice"`,
	} {
		o := newOptions()
		o.defaultRouting = value
		var got string
		if err := o.validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: error %q, want %q", value, got, want)
		}
	}
}

func TestDefaultProbe(t *testing.T) {
	const allowed = `; allowed: "readiness", "none", or "tcp", "http", "https" or "grpc" with a port, such as "tcp://:5432", "http://:8080/healthz", "https://:8443/healthz" or "grpc://:9000"`
	for value, test := range map[string]struct{ probe, err string }{
		"": {}, "none": {},
		"readiness":       {probe: "readiness"},
		"http://:8080/ok": {probe: "http://:8080/ok"},
		"readyness":       {err: `--default-probe: "readyness" is not a probe: the scheme "" is not known` + allowed},
		"tcp://web:80":    {err: `--default-probe: "tcp://web:80" is not a probe: each pod is probed at its own address, so there must be none before the port` + allowed},
	} {
		o := newOptions()
		o.defaultProbe = value
		var got string
		if err := o.validate(); err != nil {
			got = err.Error()
		}
		probe, _ := o.probe()
		if got != test.err || probe != (api.Probe{}) && probe.String() != test.probe || probe == (api.Probe{}) && test.probe != "" {
			t.Errorf("%q: probe %s, error %q, want %q and %q", value, probe, got, test.probe, test.err)
		}
	}
}

func TestFlags(t *testing.T) {
	o := newOptions()
	sets := o.flags()
	if diff := cmp.Diff([]string{"cluster", "serving", "logs", "global"}, sets.Order); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	for section, args := range map[string][]string{
		"cluster": {"--kubeconfig=/some/file", "--namespaces=a,b", "--namespaces=c"},
		"serving": {"--http-endpoint="},
		"logs":    {"--logging-format=json"},
	} {
		if err := sets.FlagSet(section).Parse(args); err != nil {
			t.Errorf("section %s: %v", section, err)
		}
	}
	if o.kubeconfig != "/some/file" || o.httpEndpoint != "" || o.logs.Format != "json" {
		t.Errorf("kubeconfig %q, HTTP endpoint %q, format %q", o.kubeconfig, o.httpEndpoint, o.logs.Format)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, o.namespaces); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
}

func TestRestConfig(t *testing.T) {
	one, other := kubeconfig(t, "https://one.example.com"), kubeconfig(t, "https://other.example.com")
	tests := map[string]struct {
		flag, environment string
		want, err         string
	}{
		"the flag counts before the environment":  {flag: one, environment: other, want: "https://one.example.com"},
		"the environment counts without the flag": {environment: other, want: "https://other.example.com"},
		"the file does not exist": {
			flag: "/nowhere", environment: other,
			err: "no cluster to work on (see --kubeconfig): stat /nowhere: no such file or directory",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", test.environment)
			o := newOptions()
			o.kubeconfig = test.flag
			config, err := o.restConfig()
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if config.Host != test.want {
				t.Errorf("host %q, want %q", config.Host, test.want)
			}
			if config.QPS >= 0 {
				t.Errorf("QPS is %v, want no limit", config.QPS)
			}
			if config.ContentType != "application/vnd.kubernetes.protobuf" || config.AcceptContentTypes != "application/vnd.kubernetes.protobuf,application/json" {
				t.Errorf("content type %q, accepting %q", config.ContentType, config.AcceptContentTypes)
			}
		})
	}
}

// kubeconfig returns the path of a kubeconfig file for the server.
func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := `{"apiVersion": "v1", "kind": "Config", "current-context": "c",
"contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
"clusters": [{"name": "c", "cluster": {"server": "` + server + `"}}],
"users": [{"name": "u", "user": {}}]}`
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
