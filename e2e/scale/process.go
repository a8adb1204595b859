package scale

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"qoqo.dev/active-standby-controller/e2e/cluster/install"
)

// hertz is the unit of the CPU times in /proc, which Linux has fixed for all programs.
const hertz = 100

// resetPeak makes the peak of the replica's memory begin at what it uses now.
func resetPeak(r *install.Replica) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", r.PID()), []byte("5"), 0)
}

// peakMB returns the peak of the replica's resident memory, in MB of a million bytes.
func peakMB(r *install.Replica) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID()))
	if err != nil {
		return 0, err
	}
	return parsePeak(text)
}

func parsePeak(status []byte) (mb float64, err error) {
	for line := range bytes.Lines(status) {
		if fields := strings.Fields(string(line)); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.Atoi(fields[1])
			return float64(kib) * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("there is no VmHWM in %q", status)
}

// cpu returns for how many seconds the replica was on a CPU.
func cpu(r *install.Replica) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.PID()))
	if err != nil {
		return 0, err
	}
	return parseCPU(text)
}

func parseCPU(stat []byte) (seconds float64, err error) {
	// The name of the program, in brackets, may hold anything. utime and stime are the 12th
	// and the 13th field after it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("there is no CPU time in %q", stat)
	}
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		seconds += float64(ticks) / hertz
	}
	return seconds, nil
}

// goroutines returns the replica's metric go_goroutines.
func goroutines(ctx context.Context, r *install.Replica) (int, error) {
	body, err := get(ctx, r, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(body) {
		if value, found := strings.CutPrefix(line, "go_goroutines "); found {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, fmt.Errorf("there is no go_goroutines in the metrics")
}

// get returns what the replica answers.
func get(ctx context.Context, r *install.Replica, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Address+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
