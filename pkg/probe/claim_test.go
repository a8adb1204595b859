package probe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestClaimOfAnAnswer(t *testing.T) {
	const serving = "\x00\x00\x00\x00\x02\x08\x01"
	long := strings.Repeat("1", 2*api.MaxValue)
	byHTTP := func(header string) uint16 {
		return serve(t, "127.0.0.1", withHTTP("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"+header+"\r\n"))
	}
	byGRPC := func(body string, trailers ...string) uint16 {
		return serveHTTP2(t, "127.0.0.1", withGRPC(body, append(trailers, "Grpc-Status: 0")...))
	}
	for name, test := range map[string]struct {
		scheme api.ProbeScheme
		port   uint16
		want   string
	}{
		"none by HTTP":                      {api.ProbeHTTP, byHTTP(""), ""},
		"a header":                          {api.ProbeHTTP, byHTTP("Qoqo-Priority: 42\r\n"), "42"},
		"a header in lower case":            {api.ProbeHTTP, byHTTP("qoqo-priority:  -7 \r\n"), "-7"},
		"the first of several counts":       {api.ProbeHTTP, byHTTP("Qoqo-Priority: 1\r\nQoqo-Priority: 2\r\n"), "1"},
		"what is no number is told":         {api.ProbeHTTP, byHTTP("Qoqo-Priority: high\r\n"), "high"},
		"what is too long is cut, and long": {api.ProbeHTTP, byHTTP("Qoqo-Priority: " + long + "\r\n"), long[:api.MaxValue+1]},
		"none by gRPC":                      {api.ProbeGRPC, byGRPC(serving), ""},
		"a trailer":                         {api.ProbeGRPC, byGRPC(serving, "qoqo-priority: 42"), "42"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), enough)
			defer cancel()
			claim, err := ask(ctx, "127.0.0.1", api.Probe{Scheme: test.scheme, Port: test.port, Path: path(test.scheme), Timeout: enough})
			if claim != test.want || err != nil {
				t.Errorf("the answer claims %q, %v, want %q", claim, err, test.want)
			}
		})
	}
	t.Run("a bad answer claims nothing that counts", func(t *testing.T) {
		port := serveHTTP2(t, "127.0.0.1", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "well") })
		if claim, err := ask(t.Context(), "127.0.0.1", api.Probe{Scheme: api.ProbeGRPC, Port: port, Timeout: enough}); claim != "" || err == nil {
			t.Errorf("the answer claims %q, %v", claim, err)
		}
	})
}

// path is what a probe of the scheme asks for.
func path(scheme api.ProbeScheme) string {
	if scheme == api.ProbeHTTP {
		return "/"
	}
	return ""
}

// wantClaims fails the test unless the pods a, b and c claim these; "-" stands for one that has not
// answered lately.
func (p *probed) wantClaims(want ...string) {
	p.Helper()
	answers := p.Answers(web)
	for i, claim := range want {
		uid := types.UID('a' + rune(i))
		answer, fresh := answers[uid]
		if got := answer.Claim; fresh != (claim != "-") || fresh && got != claim {
			p.Errorf("%s claims %q (%t) after %d ms, want %q", uid, got, fresh, p.now(), claim)
		}
	}
}

func TestClaims(t *testing.T) {
	probing(t, func(p *probed) {
		p.wantClaims("", "", "")
		p.claim("b", "5")
		p.claim("c", "high")
		p.pass(1100 * ms)
		p.wantClaims("", "5", "high")
		if got := p.Answers(web)["c"].Wrong; got != "high" {
			t.Errorf("what is not valid is %q", got)
		}
		// What is not valid is told once, although it is other nonsense each time.
		p.claim("c", "higher")
		p.pass(1100 * ms)
		if got := p.Answers(web)["c"]; got != (Answer{Claim: "higher", Wrong: "high"}) {
			t.Errorf("the answer is %v", got)
		}
		p.claim("c", "7")
		p.pass(1100 * ms)
		if got := p.Answers(web)["c"]; got != (Answer{Claim: "7", Wrong: "high"}) {
			t.Errorf("the answer is %v", got)
		}
		p.pass(wrongFor)
		if got := p.Answers(web)["c"]; got != (Answer{Claim: "7"}) {
			t.Errorf("the answer is %v", got)
		}
	})
}

// A claim lasts while the pod answers, and as long as a pod that fails is not suspected.
func TestClaimOfAPodThatIsSilent(t *testing.T) {
	probing(t, func(p *probed) {
		p.claim("b", "5")
		p.pass(1100 * ms)
		p.answers(hang, "b")
		p.pass(200 * ms)
		p.wantClaims("", "5", "")
		p.pass(1500 * ms)
		p.wantClaims("", "-", "")
	})
}

// A pod that is not asked, because its namespace asks too much, has no claim after a while.
func TestAClaimThatIsOld(t *testing.T) {
	p := after([]exchange{{"b", 100, 101, true}}).pods["b"]
	for now, want := range map[int]bool{101: true, 1500: true, 1501: false} {
		if _, fresh := p.answer(at(now)); fresh != want {
			t.Errorf("the answer is fresh after %d ms: %t", now, fresh)
		}
	}
}

// The standbys are asked anew before a master that no longer answers is suspected.
func TestClaimsAreNewWhenTheMasterFails(t *testing.T) {
	probing(t, func(p *probed) {
		p.claim("b", "5")
		p.claim("c", "6")
		p.pass(1100 * ms)
		p.answers(hang, "a")
		p.claim("b", "7")
		for p.State(web, "a") != Suspected {
			p.pass(10 * ms)
		}
		p.wantClaims("-", "7", "6")
		if now := p.now(); now > 3000 {
			t.Errorf("the master is suspected after %d ms", now)
		}
	})
}

// A pod that becomes master says anew what it claims.
func TestClaimOfANewMaster(t *testing.T) {
	probing(t, func(p *probed) {
		p.claim("b", "5")
		p.pass(1100 * ms)
		p.answers(hang, "b")
		p.Want(web, targets("b", "a", "c"))
		p.wantClaims("", "-", "")
	})
}

// The prober does not ask often enough to be late: a claim holds between two questions to a standby
// that takes its whole timeout.
func TestClaimOfASlowPod(t *testing.T) {
	probing(t, func(p *probed) {
		p.claim("b", "5")
		p.answers(func(context.Context) error { <-time.After(150 * ms); return nil }, "b")
		p.pass(2 * time.Second)
		for range 300 {
			p.pass(10 * ms)
			p.wantClaims("", "5", "")
		}
	})
}

func TestClaimsThatAreNews(t *testing.T) {
	for name, test := range map[string]struct {
		// master and standby have what each claims, before and after.
		master, standby [2]string
		want            bool
	}{
		"nothing changes":                         {master: [2]string{"5", "5"}, standby: [2]string{"7", "7"}},
		"both grow":                               {master: [2]string{"5", "6"}, standby: [2]string{"3", "4"}},
		"the standby comes nearer":                {master: [2]string{"5", "5"}, standby: [2]string{"3", "4"}},
		"the standby catches up":                  {master: [2]string{"5", "5"}, standby: [2]string{"3", "5"}, want: true},
		"the standby overtakes":                   {master: [2]string{"5", "5"}, standby: [2]string{"5", "6"}, want: true},
		"the master overtakes":                    {master: [2]string{"5", "7"}, standby: [2]string{"6", "6"}, want: true},
		"the standby claims something":            {master: [2]string{"5", "5"}, standby: [2]string{"", "1"}, want: true},
		"the standby no longer claims":            {master: [2]string{"5", "5"}, standby: [2]string{"1", ""}, want: true},
		"the standby claims nonsense":             {master: [2]string{"5", "5"}, standby: [2]string{"1", "x"}, want: true},
		"the standby claims other nonsense":       {master: [2]string{"5", "5"}, standby: [2]string{"x", "y"}},
		"the master changes, the standby is mute": {master: [2]string{"5", "6"}, standby: [2]string{"", ""}, want: true},
		"the standby changes, the master is mute": {master: [2]string{"", ""}, standby: [2]string{"5", "6"}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := &group{}
			g.adopt(pods("a"), start)
			delete(g.pods, "c")
			a, b := g.pods["a"], g.pods["b"]
			a.claim, b.claim = test.master[0], test.standby[0]
			a.claim = test.master[1]
			got := g.reorders(a, test.master[0])
			b.claim = test.standby[1]
			if got = g.reorders(b, test.standby[0]) || got; got != test.want {
				t.Errorf("it is news: %t, want %t", got, test.want)
			}
		})
	}
}

// The election hears that a standby overtakes the master, and no more of numbers that grow.
func TestTheElectionHearsOfClaims(t *testing.T) {
	probing(t, func(p *probed) {
		p.claim("a", "100")
		for _, pod := range []string{"b", "c"} {
			p.claim(pod, "50")
		}
		p.pass(2 * time.Second)
		p.forget()
		for i := range 20 {
			p.claim("a", fmt.Sprint(101+i))
			p.claim("b", fmt.Sprint(51+i))
			p.pass(200 * ms)
		}
		if news := p.news(); len(news) != 0 {
			t.Errorf("the election heard of %v", news)
		}
		p.claim("b", "1000")
		p.pass(1100 * ms)
		if news := p.news(); len(news) != 1 {
			t.Errorf("the election heard of %v", news)
		}
	})
}
