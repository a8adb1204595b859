package live

import (
	"context"
	"sync"
	"time"
)

// readFor is how long a shared reading may take. It does not end with the caller that began it,
// because others wait for it too.
const readFor = 15 * time.Second

// shared lets callers that ask for the same at a time share one answer: at most one reading of
// a namespace is under way, and all who ask meanwhile share the next. So no answer is older than
// the question. A nil shared shares nothing.
type shared[T any] struct {
	lock sync.Mutex
	// current are the readings under way, and next those that begin when they have ended.
	current, next map[string]*reading[T]
}

type reading[T any] struct {
	ended chan struct{}
	value T
	err   error
}

func newShared[T any]() *shared[T] {
	return &shared[T]{current: map[string]*reading[T]{}, next: map[string]*reading[T]{}}
}

// get returns what read returns of the namespace. Callers must not change it.
func (s *shared[T]) get(ctx context.Context, namespace string, read func(context.Context) (T, error)) (value T, err error) {
	if s == nil {
		return read(ctx)
	}
	s.lock.Lock()
	joined, found := s.next[namespace]
	if !found {
		joined = &reading[T]{ended: make(chan struct{})}
		s.next[namespace] = joined
		go s.read(context.WithoutCancel(ctx), namespace, joined, s.current[namespace], read)
	}
	s.lock.Unlock()
	select {
	case <-joined.ended:
		return joined.value, joined.err
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

// read reads once the former reading of the namespace has ended, if there is one.
func (s *shared[T]) read(ctx context.Context, namespace string, own, former *reading[T], read func(context.Context) (T, error)) {
	if former != nil {
		<-former.ended
	}
	s.lock.Lock()
	delete(s.next, namespace)
	s.current[namespace] = own
	s.lock.Unlock()
	ctx, cancel := context.WithTimeout(ctx, readFor)
	defer cancel()
	own.value, own.err = read(ctx)
	s.lock.Lock()
	if s.current[namespace] == own {
		delete(s.current, namespace)
	}
	s.lock.Unlock()
	close(own.ended)
}
