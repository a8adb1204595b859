package live

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Nobody gets an answer that is older than his question, and those who ask while another reading
// is under way share the next.
func TestSharedReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared[time.Time]()
		began := time.Now()
		readings := 0
		read := func(context.Context) (time.Time, error) {
			readings++
			at := time.Now()
			time.Sleep(100 * time.Millisecond)
			return at, nil
		}
		var asking sync.WaitGroup
		for i := range 50 {
			asking.Go(func() {
				// All ask while the first reading is under way.
				time.Sleep(time.Duration(i) * time.Millisecond)
				asked := time.Now()
				at, err := s.get(t.Context(), "shop", read)
				if err != nil || at.Before(asked) {
					t.Errorf("asked after %s, the answer is of %s, with the error %v", asked.Sub(began), at.Sub(began), err)
				}
			})
		}
		asking.Wait()
		if readings != 2 {
			t.Errorf("%d readings, want 2", readings)
		}
		if took := time.Since(began); took != 200*time.Millisecond {
			t.Errorf("it took %s, want 200ms", took)
		}
		if len(s.current)+len(s.next) > 0 {
			t.Errorf("%d readings are remembered", len(s.current)+len(s.next))
		}
	})
}

// A namespace does not wait for another.
func TestReadingsOfNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared[string]()
		began := time.Now()
		var asking sync.WaitGroup
		for _, namespace := range []string{"shop", "other"} {
			asking.Go(func() {
				got, err := s.get(t.Context(), namespace, func(context.Context) (string, error) {
					time.Sleep(100 * time.Millisecond)
					return namespace, nil
				})
				if got != namespace || err != nil {
					t.Errorf("%q of %s, with the error %v", got, namespace, err)
				}
			})
		}
		asking.Wait()
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("it took %s, want 100ms", took)
		}
	})
}

// Each caller waits for as long as it may, the one that began the reading too. The others get their
// answer all the same.
func TestReadingThatIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared[string]()
		read := func(ctx context.Context) (string, error) {
			select {
			case <-time.After(100 * time.Millisecond):
				return "read", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		var asking sync.WaitGroup
		ask := func(patience time.Duration, gets bool) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if _, err := s.get(ctx, "shop", read); gets != (err == nil) {
				t.Errorf("who waits for %s gets the error %v", patience, err)
			}
		}
		asking.Go(func() { ask(time.Second, true) })
		time.Sleep(time.Millisecond)
		asking.Go(func() { ask(10*time.Millisecond, false) })
		time.Sleep(time.Millisecond)
		asking.Go(func() { ask(10*time.Millisecond, false) })
		asking.Go(func() { ask(time.Second, true) })
		asking.Wait()
	})
}
