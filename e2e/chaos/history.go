package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// remembered is how many actions and events of each election the history of a violation
// shows.
const remembered = 40

// moment is an action or an event. An action without an election concerns all.
type moment struct {
	at       time.Time
	election string
	text     string
}

// violation is what must never be, and what came before.
type violation struct {
	at       time.Time
	election string
	text     string
	history  []moment
}

func (j *judge) tell(election, format string, args ...any) {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	j.history = append(j.history, moment{j.now, election, format})
}

func (j *judge) fail(election, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	of := slices.DeleteFunc(slices.Clone(j.history), func(m moment) bool { return m.election != "" && m.election != election })
	of = of[max(0, len(of)-remembered):]
	j.violations = append(j.violations, violation{j.now, election, text, append(slices.Clip(of), moment{j.now, election, "VIOLATION: " + text})})
	j.tell(election, "%s", "VIOLATION: "+text)
}

// once fails when something begins to be wrong.
func (j *judge) once(wrong bool, key, election, format string, args ...any) {
	switch {
	case !wrong:
		j.failing.Delete(key)
	case !j.failing.Has(key):
		j.failing.Insert(key)
		j.fail(election, format, args...)
	}
}

func (j *judge) names(uids []types.UID) string {
	var names []string
	for _, uid := range uids {
		names = append(names, j.podOf("", uid))
	}
	return strings.Join(names, " and ")
}

// podOf names a pod by its name and a part of its UID.
func (j *judge) podOf(name string, uid types.UID) string {
	if p := j.pod(uid); p != nil {
		name = p.Name
	}
	if uid == "" {
		return strconv.Quote(name)
	}
	return fmt.Sprintf("%s (%.4s)", name, uid)
}

func (j *judge) showSlice(s *discoveryv1.EndpointSlice, deleted bool) string {
	if deleted {
		return fmt.Sprintf("slice %s is gone", s.Name)
	}
	var lists []string
	for _, e := range s.Endpoints {
		if e.TargetRef == nil {
			continue
		}
		name := j.podOf(e.TargetRef.Name, e.TargetRef.UID)
		if !ptr.Deref(e.Conditions.Ready, true) {
			name += " not ready"
		}
		lists = append(lists, name)
	}
	return fmt.Sprintf("slice %s lists [%s]", s.Name, strings.Join(lists, ", "))
}

// tellPod tells what matters of a pod, to all elections that select it.
func (j *judge) tellPod(before, now *corev1.Pod, deleted bool) {
	show := func(p *corev1.Pod) string {
		if p == nil {
			return ""
		}
		state := "is not Ready"
		if observation.Ready(p) {
			state = "is Ready"
		}
		if p.DeletionTimestamp != nil {
			state = "terminates"
		}
		return fmt.Sprintf("%s on %q, app=%s, identified as %.4s", state, p.Spec.NodeName, p.Labels["app"], p.Labels[api.LabelPodUID])
	}
	says := show(now)
	switch {
	case deleted:
		says = "is gone"
	case says == show(before) && before.UID == now.UID:
		return
	}
	elections := sets.New[string]()
	for _, s := range j.services {
		if settings, _, ok := api.Parse(s); ok && (settings.Candidates.Matches(podLabels(now)) || before != nil && settings.Candidates.Matches(podLabels(before))) {
			elections.Insert(api.LeaseName(s))
		}
	}
	for _, election := range sets.List(elections) {
		j.tell(election, "pod %s %s", j.podOf(now.Name, now.UID), says)
	}
}

// showAnnotations shows those that decide.
func showAnnotations(s *corev1.Service) string {
	var shown []string
	for _, key := range slices.Sorted(maps.Keys(s.Annotations)) {
		if strings.HasPrefix(key, api.Domain) {
			shown = append(shown, strings.TrimPrefix(key, api.Domain+"/")+"="+s.Annotations[key])
		}
	}
	return strings.Join(shown, " ")
}
