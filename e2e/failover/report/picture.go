package report

import (
	"fmt"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"qoqo.dev/active-standby-controller/e2e/document"
	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

const (
	rowHeight = 14                     // in points
	margins   = 55 + 2*document.Around // for the title and the axis too
)

// picture draws the timelines of a scenario's median runs, as an SVG.
func picture(s scenario) ([]byte, error) {
	p := plot.New()
	p.Title.Text = s.Title
	p.Title.TextStyle.Font = document.Style(document.Large, xfont.WeightBold).Font
	p.Title.Padding = 4
	var bands []*band
	rows := 0.0
	for _, r := range s.results {
		b := &band{result: r}
		rows += b.rows()
		bands = append(bands, b)
	}
	p.Y.Min, p.Y.Max, p.Y.Padding = 0, rows, 4
	var labels plot.ConstantTicks
	for _, b := range bands {
		b.top = rows
		labels = append(labels, b.labels()...)
		rows -= b.rows()
	}
	p.Y.Tick.Marker, p.Y.Tick.Label.Font = labels, document.Style(document.Small, xfont.WeightNormal).Font
	p.Y.Tick.Label.YAlign -= 0.12 // gonum puts it too high
	p.Y.Tick.Length, p.Y.Tick.Width, p.Y.Width = 0, 0, 0

	p.X.Min, p.X.Max = window(s.results)
	p.X.Padding = 0
	p.X.Label.Text = "seconds since the cause, of the run with the median outage (grey: after its end)"
	p.X.Label.TextStyle.Font = document.Style(document.Small, xfont.WeightNormal).Font
	p.X.Tick.Marker, p.X.Tick.Label.Font = plot.TickerFunc(ticks), p.X.Label.TextStyle.Font

	grid := plotter.NewGrid()
	grid.Vertical, grid.Horizontal.Color = draw.LineStyle{Color: document.Grid, Width: 0.5}, nil
	p.Add(grid)
	for _, b := range bands {
		p.Add(b)
	}
	return document.SVG(p, margins+vg.Length(p.Y.Max)*rowHeight)
}

// window returns the time that a picture shows, in seconds. It begins before the cause
// and the outages, and ends after the outages, steps and losses. It also ends after
// the last change of the pod that answers, unless that is so late that the outage
// would look small.
func window(all []results.Result) (from, to float64) {
	begin, outage, change := 0.0, 0.0, 0.0
	for _, r := range all {
		if r.Median.Outage != nil {
			begin = min(begin, r.Median.Outage.From)
			outage = max(outage, r.Median.Outage.To)
		}
		for _, s := range stepsOf(r) {
			outage = max(outage, s.at)
		}
		for _, lane := range r.Median.Lanes {
			for _, s := range lane.Spans {
				change = max(change, s.From)
				if lane.Pod == lost {
					outage = max(outage, s.To)
				}
			}
		}
	}
	return (begin - 500) / 1000, (max(outage, min(change, 3*max(outage, 1000))) + 1000) / 1000
}

// ticks returns ticks at round numbers, 15 at most.
func ticks(from, to float64) (all []plot.Tick) {
	distance := 0.1
	for _, d := range []float64{0.2, 0.5, 1, 2, 5, 10, 20, 50} {
		if (to-from)/distance > 14 {
			distance = d
		}
	}
	for i := 0; float64(i)*distance <= to; i++ {
		at := float64(i) * distance
		all = append(all, plot.Tick{Value: at, Label: fmt.Sprintf("%.3g", at)})
	}
	return all
}
