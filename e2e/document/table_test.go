package document

import "testing"

func TestDuration(t *testing.T) {
	for ms, want := range map[float64]string{
		0: "0 ms", 85: "85 ms", -12: "-12 ms", 999: "999 ms", 999.6: "1.00 s", 1000: "1.00 s", 1205.9: "1.21 s", 45230: "45.23 s",
	} {
		if got := Duration(ms); got != want {
			t.Errorf("%v: %s, want %s", ms, got, want)
		}
	}
}
