package document

import (
	"bytes"
	"fmt"
	"image/color"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Sizes in points. A page of GitHub is 675 points wide.
const (
	Width  = 660
	Around = 6 // white margin
	Small  = 9
	Large  = 11
)

// Grid is the colour of lines behind what is drawn.
var Grid = color.RGBA{R: 0xdd, G: 0xdd, B: 0xdd, A: 0xff}

// SVG draws the plot, as high as is said.
func SVG(p *plot.Plot, height vg.Length) ([]byte, error) {
	file := vgsvg.New(Width, height)
	canvas := draw.New(file)
	// White, even on a dark page.
	canvas.FillPolygon(color.White, Rectangle(0, Width, 0, height))
	p.Draw(draw.Crop(canvas, Around, -Around, Around, -Around))
	var out bytes.Buffer
	if _, err := file.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Title.Text, err)
	}
	// Few machines have this font. Arial has the same widths.
	return bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

// Style is how text is written.
func Style(size vg.Length, weight xfont.Weight) text.Style {
	s := text.Style{Color: color.Black, YAlign: draw.YCenter, Handler: plot.DefaultTextHandler}
	s.Font.Typeface, s.Font.Variant, s.Font.Size, s.Font.Weight = "Liberation", "Sans", size, weight
	return s
}

// Rectangle returns its corners.
func Rectangle(left, right, bottom, top vg.Length) []vg.Point {
	return []vg.Point{{X: left, Y: bottom}, {X: right, Y: bottom}, {X: right, Y: top}, {X: left, Y: top}}
}
