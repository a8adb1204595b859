package report

import (
	"cmp"
	"fmt"
	"image/color"
	"slices"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"qoqo.dev/active-standby-controller/e2e/document"
	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

// The colours can be told apart by colour-blind people.
var (
	// headColour is for a band's head, and for the time after its measurement.
	headColour   = color.RGBA{R: 0xf0, G: 0xf2, B: 0xf4, A: 0xff}
	outageColour = color.RGBA{R: 0xfb, G: 0xdc, B: 0xd2, A: 0xff}
	podColours   = map[string]color.Color{
		"old": color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff},
		"new": color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff},
		lost:  color.RGBA{R: 0xcc, G: 0x22, B: 0x00, A: 0xff},
	}
	otherPod = color.RGBA{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff}
)

const (
	lost = "lost" // the lane of lost requests
	// Heights in rows: of a band's head, and between two bands.
	headRows, gap = 1.3, 0.5
)

// band is the part of a picture that shows one variant. It has a head, which says what
// the colours mean and how long it took, a lane with the steps, and a lane for each
// pod.
type band struct {
	result results.Result
	top    float64 // in rows from the bottom of the picture
}

func (b *band) rows() float64 { return headRows + float64(1+len(b.result.Median.Lanes)) + gap }

// lane returns the middle of a lane of the band. Lane 0 is that of the steps.
func (b *band) lane(i int) float64 { return b.top - headRows - float64(i) - 0.5 }

func (b *band) labels() []plot.Tick {
	all := []plot.Tick{{Value: b.lane(0), Label: "steps"}}
	for i, l := range b.result.Median.Lanes {
		label := l.Pod
		if l.Pod == lost {
			label = fmt.Sprintf("%d lost", b.result.Median.Lost)
		}
		all = append(all, plot.Tick{Value: b.lane(1 + i), Label: label})
	}
	return all
}

// Plot implements plot.Plotter.
func (b *band) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	// box fills a rectangle that is at least wide enough to be seen.
	box := func(fill color.Color, fromMS, toMS, bottom, top float64) {
		from, to := max(x(fromMS/1000), c.Min.X), min(x(toMS/1000), c.Max.X)
		to = max(to, from+1.5)
		if from < c.Max.X && x(toMS/1000) >= c.Min.X {
			c.FillPolygon(fill, document.Rectangle(from, to, y(bottom), y(top)))
		}
	}
	lanes := b.result.Median.Lanes
	bottom, top := b.lane(len(lanes))-0.5, b.top-headRows
	if end := b.end(); end > 0 {
		box(headColour, end, p.X.Max*1000, bottom, top)
	}
	if o := b.result.Median.Outage; o != nil {
		box(outageColour, o.From, o.To, bottom, top)
	}
	c.StrokeLine2(draw.LineStyle{Color: color.Black, Width: 1}, x(0), y(bottom), x(0), y(top))
	from := 0.0
	for _, s := range stepsOf(b.result) {
		if s.at > from {
			box(s.fill, from, s.at, b.lane(0)-0.3, b.lane(0)+0.3)
			from = s.at
		}
	}
	for i, lane := range lanes {
		fill, known := podColours[lane.Pod]
		if !known {
			fill = otherPod
		}
		for _, s := range lane.Spans {
			box(fill, s.From, s.To, b.lane(1+i)-0.3, b.lane(1+i)+0.3)
		}
	}
	b.head(c, y(b.top), y(top))
}

// end returns when the last request was sent, which is when the measurement ended.
func (b *band) end() (ms float64) {
	for _, lane := range b.result.Median.Lanes {
		for _, s := range lane.Spans {
			ms = max(ms, s.To)
		}
	}
	return ms
}

// head writes the band's name, its outage and its steps from left to right.
func (b *band) head(c draw.Canvas, top, bottom vg.Length) {
	middle := (top + bottom) / 2
	c.FillPolygon(headColour, document.Rectangle(c.Min.X, c.Max.X, bottom+1, top))
	at := c.Min.X
	for _, k := range b.keys() {
		if k.fill != nil {
			box := at + keyGap
			c.FillPolygon(k.fill, document.Rectangle(box, box+keyBox, middle-keyBox/2, middle+keyBox/2))
		}
		s := k.style()
		s.YAlign += 0.08 // gonum puts it too low
		at += k.width()
		c.FillText(s, vg.Point{X: at - s.Width(k.words), Y: middle}, k.words)
	}
}

// headWidth returns the width that the head needs.
func (b *band) headWidth() (width vg.Length) {
	for _, k := range b.keys() {
		width += k.width()
	}
	return width
}

// keys returns what the head says: the band's name, and what the colours mean.
func (b *band) keys() []key {
	name, outage := strings.ReplaceAll(named(b.result.Variant), "`", ""), "no answer for "
	if b.result.Variant.Routing == results.Plain {
		outage = "losses within "
	}
	all := []key{{words: name}}
	if b.result.Median.Outage != nil {
		all = append(all, key{outageColour, outage + document.Duration(b.result.Median.OutageMS)})
	}
	for _, s := range stepsOf(b.result) {
		all = append(all, key{s.fill, s.name + " " + document.Duration(s.at)})
	}
	return all
}

// key is a coloured box with what it means, or a name without a box.
type key struct {
	fill  color.Color
	words string
}

// Widths in points: of the gap before a name, of the gap before a box, of the box, and
// of the gap between the box and its words.
const nameGap, keyGap, keyBox, wordGap = 4, 12, 7, 3

func (k key) style() text.Style {
	if k.fill == nil {
		return document.Style(document.Small, xfont.WeightBold)
	}
	return document.Style(document.Small, xfont.WeightNormal)
}

func (k key) width() vg.Length {
	before := vg.Length(nameGap)
	if k.fill != nil {
		before = keyGap + keyBox + wordGap
	}
	return before + k.style().Width(k.words)
}

// namedStep is a step that was seen. Its colour fills the time from the step before.
type namedStep struct {
	name string
	at   float64
	fill color.Color
}

func stepsOf(r results.Result) (all []namedStep) {
	add := func(name string, at *float64, fill color.Color) {
		if at != nil {
			all = append(all, namedStep{name: name, at: *at, fill: fill})
		}
	}
	s := r.Median.Steps
	add("noticed", s.Noticed, color.RGBA{R: 0x99, G: 0x99, B: 0x99, A: 0xff})
	add("decided", s.Decided, color.RGBA{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff})
	add("published", s.Published, color.RGBA{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff})
	add("answered", s.Answered, color.RGBA{R: 0x66, G: 0x33, B: 0x88, A: 0xff})
	// Sorted by time, because the steps can come in another order: the master on a dead
	// node is replaced before Kubernetes notices that it is not Ready.
	slices.SortStableFunc(all, func(a, b namedStep) int { return cmp.Compare(a.at, b.at) })
	return all
}
