package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"qoqo.dev/active-standby-controller/e2e/document"
	"qoqo.dev/active-standby-controller/e2e/scale/results"
)

// picture is lines over one axis.
type picture struct {
	name, title, x string
	lines          []line
}

// line is what one load shows, and with what it is drawn.
type line struct {
	name   string
	colour int
	dashed bool
	points plotter.XYs
}

// The colours can be told apart by colour-blind people.
var colours = []color.Color{
	color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff},
	color.RGBA{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff},
	color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff},
	color.RGBA{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff},
	color.RGBA{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff},
	color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff},
	color.RGBA{R: 0x66, G: 0x66, B: 0x66, A: 0xff},
}

// height of a picture, in points.
const height = 260

// least is the smallest value that a picture shows: a logarithm needs one.
const least = 1

// pictures are one of the failovers for each routing, and one of the memory. A picture without lines is left out.
func pictures(f results.File) (all []picture) {
	memory := picture{name: "memory", title: "Peak RSS of a replica, in MB", x: "elections"}
	for _, routing := range results.Routings {
		p := picture{
			name: "failover-" + routing, title: "Routing " + routing + ": ms until the slices list the new master, p50 (p99 dashed)",
			x: "masters that fail at once",
		}
		spread := line{name: routing + ", many namespaces", colour: len(memory.lines)}
		alone := line{name: routing + ", one namespace", colour: len(memory.lines), dashed: true}
		for _, g := range groups(f) {
			if g.routing != routing {
				continue
			}
			p50 := line{name: place(g.load), colour: len(p.lines) / 2}
			p99 := line{colour: p50.colour, dashed: true}
			peak := 0.0
			for _, r := range g.results {
				run := results.Median(r.Runs)
				peak = max(peak, run.PeakMB)
				if n := results.Failed(r.Part); n > 0 && run.Slice != nil && run.Unserved == 0 {
					p50.points = append(p50.points, plotter.XY{X: float64(n), Y: max(run.Slice.P50, least)})
					p99.points = append(p99.points, plotter.XY{X: float64(n), Y: max(run.Slice.P99, least)})
				}
			}
			if len(p50.points) > 0 {
				p.lines = append(p.lines, p50, p99)
			}
			at := plotter.XY{X: float64(g.load.Elections), Y: max(peak, least)}
			if g.load.Namespaces == 1 {
				alone.points = append(alone.points, at)
			} else {
				spread.points = append(spread.points, at)
			}
		}
		for _, l := range []line{spread, alone} {
			if len(l.points) > 0 {
				memory.lines = append(memory.lines, l)
			}
		}
		all = append(all, p)
	}
	all = append(all, memory)
	return slices.DeleteFunc(all, func(p picture) bool { return len(p.lines) == 0 })
}

func (d picture) draw() ([]byte, error) {
	p := plot.New()
	p.Title.Text = d.title
	p.Title.TextStyle.Font = document.Style(document.Large, xfont.WeightBold).Font
	p.Title.Padding = 4
	normal := document.Style(document.Small, xfont.WeightNormal).Font
	// To the right of all lines, which rise, there is room for the legend.
	p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs = true, 0.62*document.Width, 4
	p.Legend.Padding, p.Legend.TextStyle.Font = 2, normal
	// The title has the unit: gonum keeps room for the label of a logarithmic axis at a wrong place.
	p.X.Label.Text, p.X.Label.TextStyle.Font = d.x, normal
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font, axis.Scale, axis.Tick.Marker = normal, plot.LogScale{}, plot.TickerFunc(powers)
	}
	grid := plotter.NewGrid()
	grid.Vertical, grid.Horizontal = draw.LineStyle{Color: document.Grid, Width: 0.5}, draw.LineStyle{Color: document.Grid, Width: 0.5}
	p.Add(grid)
	for _, l := range d.lines {
		drawn, points, err := plotter.NewLinePoints(l.points)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		drawn.Color, drawn.Width = colours[l.colour%len(colours)], 1.5
		if l.dashed {
			drawn.Dashes = []vg.Length{4, 3}
		}
		points.Color, points.Shape, points.Radius = drawn.Color, draw.CircleGlyph{}, 2
		p.Add(drawn, points)
		if l.name != "" {
			p.Legend.Add(l.name, drawn)
		}
	}
	p.X.Min, p.X.Max = floor(p.X.Min), 10*p.X.Max
	p.Y.Min, p.Y.Max = floor(p.Y.Min), 10*floor(p.Y.Max)
	return document.SVG(p, height)
}

// floor is the power of ten up to x.
func floor(x float64) float64 { return math.Pow(10, math.Floor(math.Log10(x))) }

// powers returns ticks at the powers of ten, with small ones between them.
func powers(from, to float64) (all []plot.Tick) {
	for power := floor(from); power <= to*1.001; power *= 10 {
		all = append(all, plot.Tick{Value: power, Label: fmt.Sprintf("%.0f", power)})
		for n := 2.0; n < 10 && n*power < to; n++ {
			all = append(all, plot.Tick{Value: n * power})
		}
	}
	return all
}
