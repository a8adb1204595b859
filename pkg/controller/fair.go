package controller

import (
	"slices"
	"sync"
)

// fair is a queue that takes turns among namespaces: elections of one namespace, however many,
// let those of another wait for one of theirs only. It implements workqueue.Queue.
type fair struct {
	// waiting are the namespaces that have keys, in the order of their turns.
	waiting []string
	keys    map[string][]key
	len     int
}

func newFair() *fair { return &fair{keys: map[string][]key{}} }

// Touch implements workqueue.Queue: what waits already keeps its place.
func (*fair) Touch(key) {}

// Push implements workqueue.Queue.
func (f *fair) Push(k key) {
	of := f.keys[k.Namespace]
	if len(of) == 0 {
		f.waiting = append(f.waiting, k.Namespace)
	}
	f.keys[k.Namespace] = append(of, k)
	f.len++
}

// Len implements workqueue.Queue.
func (f *fair) Len() int { return f.len }

// Pop implements workqueue.Queue.
func (f *fair) Pop() key {
	namespace := f.waiting[0]
	f.waiting = f.waiting[1:]
	k, rest := f.keys[namespace][0], f.keys[namespace][1:]
	if len(rest) > 0 {
		f.keys[namespace] = rest
		f.waiting = append(f.waiting, namespace)
	} else {
		delete(f.keys, namespace)
	}
	f.len--
	return k
}

// places are the workers that are at work, by namespace. A namespace in which every request
// takes long, or where hundreds of masters fail at once, gets no more than its share.
type places struct {
	lock sync.Mutex
	// taken is how many workers are at a namespace, and put off are keys that must wait for one
	// of them.
	taken  map[string]int
	putOff map[string][]key
}

func newPlaces() *places {
	return &places{taken: map[string]int{}, putOff: map[string][]key{}}
}

// take reports whether a worker may begin with the key. If not, leave returns the key later.
func (p *places) take(k key) bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.taken[k.Namespace] >= namespaceWorkers {
		if !slices.Contains(p.putOff[k.Namespace], k) {
			p.putOff[k.Namespace] = append(p.putOff[k.Namespace], k)
		}
		return false
	}
	p.taken[k.Namespace]++
	return true
}

// crowded reports whether a key is put off.
func (p *places) crowded() bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	return len(p.putOff) > 0
}

// leave ends what take began. It returns a key that was put off meanwhile.
func (p *places) leave(namespace string) (next key, found bool) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.taken[namespace]--; p.taken[namespace] == 0 {
		delete(p.taken, namespace)
	}
	of := p.putOff[namespace]
	if len(of) == 0 {
		return key{}, false
	}
	if next = of[0]; len(of) == 1 {
		delete(p.putOff, namespace)
	} else {
		p.putOff[namespace] = of[1:]
	}
	return next, true
}
