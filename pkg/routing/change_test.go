package routing

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChangeJSON(t *testing.T) {
	tests := map[string]struct {
		change Change
		want   string
	}{
		"a Service's selector and stamp are one patch": {
			servicePatch(keys{"qoqo.dev/pod-uid": to("uid-b")}, keys{"qoqo.dev/lease-transitions": to("5")}),
			`{"metadata":{"uid":"uid-web","resourceVersion":"7","annotations":{"qoqo.dev/lease-transitions":"5"}},"spec":{"selector":{"qoqo.dev/pod-uid":"uid-b"}}}`,
		},
		"keys that are removed are null": {
			servicePatch(keys{"qoqo.dev/pod-uid": nil}, keys{"qoqo.dev/lease-transitions": nil}),
			`{"metadata":{"uid":"uid-web","resourceVersion":"7","annotations":{"qoqo.dev/lease-transitions":null}},"spec":{"selector":{"qoqo.dev/pod-uid":null}}}`,
		},
		"a pod's patch has no spec, which would be refused": {
			podPatch("a", keys{"qoqo.dev/pod-designation": to("standby"), "qoqo.dev/pod-uid": to("uid-a")}, nil),
			`{"metadata":{"uid":"uid-a","resourceVersion":"7","labels":{"qoqo.dev/pod-designation":"standby","qoqo.dev/pod-uid":"uid-a"}}}`,
		},
		"an empty value does not remove the key": {
			podPatch("a", keys{"key": to("")}, nil),
			`{"metadata":{"uid":"uid-a","resourceVersion":"7","labels":{"key":""}}}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.change.JSON()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChangeEmpty(t *testing.T) {
	tests := map[string]struct {
		change Change
		want   bool
	}{
		"a change that only names its object is empty":             {changeOf(KindPod, pod("a")), true},
		"a change with a label is not empty":                       {podPatch("a", keys{"key": to("")}, nil), false},
		"a change that removes an annotation is not empty":         {podPatch("a", nil, keys{"key": nil}), false},
		"the deletion of a slice is not empty":                     {sliceRemoval(ownSlice("a", "4")), false},
		"the creation of a slice is not empty":                     {slicePatch(created(ownSlice("a", "4"))), false},
		"a change that removes a key of the selector is not empty": {servicePatch(keys{"key": nil}, nil), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.change.Empty(); got != test.want {
				t.Errorf("empty: %v, want %v", got, test.want)
			}
		})
	}
}

func TestSetAndUnset(t *testing.T) {
	current := map[string]string{"same": "x", "other": "x", "empty": "", "gone": "x"}
	before := maps.Clone(current)
	changes := keys{}
	for _, key := range []string{"same", "other", "empty", "new"} {
		set(changes, current, key, map[string]string{"same": "x", "other": "y", "empty": "", "new": ""}[key])
	}
	unset(changes, current, "gone")
	unset(changes, current, "never there")
	if diff := cmp.Diff(keys{"other": to("y"), "new": to(""), "gone": nil}, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, current); diff != "" {
		t.Errorf("the object, of an informer's cache, was changed (-before +after):\n%s", diff)
	}
}
