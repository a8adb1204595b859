package nodeprobe

import (
	"slices"
	"time"
)

const (
	// interval is from the beginning of one round of questions to that of the next.
	interval = time.Second
	// slack is how much longer than the interval a round may take, and a sign of life may be back.
	slack = interval / 4
	// gap is how far apart two rounds can end. This process was suspended between rounds that are
	// further apart.
	gap = 2*interval + slack
)

// answer is what came of one question.
type answer int

const (
	// unknown: the node was not asked, or this process is to blame.
	unknown answer = iota
	answered
	missed
)

// reply is the answer of a node in a round, and when the node gave its latest sign of life; zero if
// none was seen.
type reply struct {
	answer
	at time.Time
}

// node is what is known of a node.
type node struct {
	// known: the node has answered at its address. The silence of any other node shows nothing.
	known bool
	// alive is when the latest sign of life came.
	alive time.Time
	// missing: the node has missed the latest question.
	missing bool
	// misses counts the rounds in a row that the node has missed while most others answered.
	misses int
	// read: the API server was asked for the heartbeats since it began to count the misses.
	read bool
	// contradicted: a heartbeat came during this silence, so that the node lives.
	contradicted bool
	// dead: the silence was confirmed.
	dead bool
}

// answers reports whether the node has answered the latest question.
func (n *node) answers() bool { return n.known && !n.missing }

// silent reports whether the node has missed the latest question, and no heartbeat says that it
// lives.
func (n *node) silent() bool { return n.missing && !n.contradicted }

// detector tells nodes that are dead from a network that fails. It hears of rounds of questions
// and knows no clock.
type detector struct {
	timeout time.Duration
	nodes   map[string]*node
	// telling is since when, in each round, most nodes have answered. From then on, a silent node
	// can be told from this process' own network.
	telling time.Time
	// ended is when the latest round ended.
	ended time.Time
}

// enough is how many rounds a node must have missed. It is fewer than the timeout has rounds: a
// sign of life may be a round old, and a question takes time to be missed.
func (d *detector) enough() int { return max(1, int(d.timeout/interval)-2) }

// round records a round of questions. It returns the nodes that have been silent for long enough,
// in order, and those that begin or cease to be missing.
func (d *detector) round(began, ended time.Time, replies map[string]reply) (suspects, news []string) {
	if ended.Sub(d.ended) > gap {
		d.anew(ended)
	}
	d.ended = ended
	// In a round that took too long, this process lacked CPU time. It shows who lives, but not who
	// is dead.
	timely := ended.Sub(began) <= interval+slack
	counted, heard := 0, 0
	for name, r := range replies {
		n := d.nodes[name]
		switch {
		case n == nil || r.answer == unknown:
			continue
		case r.answer == answered:
			counted, heard = counted+1, heard+1
			if n.missing {
				news = append(news, name)
			}
			*n = node{known: true, alive: r.at}
		case n.known && timely:
			if !n.dead {
				counted++
			}
			if !n.missing {
				news = append(news, name)
			}
			n.missing, n.alive = true, latest(n.alive, r.at)
		}
	}
	if !timely {
		return nil, news
	}
	// More than half of the others of a node that has missed the question. A node that is alone has
	// no others.
	if 2*heard <= counted-1 {
		d.anew(ended)
		return nil, news
	}
	for name, r := range replies {
		n := d.nodes[name]
		if n == nil || r.answer != missed || !n.known || n.dead {
			continue
		}
		n.misses++
		since := latest(n.alive, d.telling)
		if n.silent() && n.misses >= d.enough() && ended.Sub(since) >= d.timeout && 2*d.later(replies, since.Add(d.timeout-interval)) > counted-1 {
			suspects = append(suspects, name)
		}
	}
	slices.Sort(suspects)
	return suspects, news
}

// later counts the nodes that have given a sign of life since then. A network that fails shortly
// before the end of a silence looks like a longer silence.
func (d *detector) later(replies map[string]reply, then time.Time) (count int) {
	for name, r := range replies {
		if d.nodes[name] != nil && r.answer == answered && !r.at.Before(then) {
			count++
		}
	}
	return count
}

// anew begins the count of every silence anew.
func (d *detector) anew(now time.Time) {
	d.telling = now
	for _, n := range d.nodes {
		n.misses, n.read = 0, false
	}
}

// judge draws the conclusion of a suspicion that the API server has confirmed: the node is dead,
// unless its latest heartbeat, which came at renewed, was sent during the silence. It reports
// whether the node has died or lives again.
func (d *detector) judge(name string, renewed time.Time) (news bool) {
	n := d.nodes[name]
	if n == nil || !n.silent() {
		return false
	}
	was := n.dead
	// The last sign of life may be as old as that although the node died later. What was sent
	// before it died shows nothing.
	n.contradicted = renewed.Sub(n.alive) > interval+slack
	n.dead = !n.contradicted
	return n.dead != was
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
