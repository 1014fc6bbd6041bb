// Package shape groups log lines that differ only in their variable parts: in
// numbers, ids, addresses, and in words that stand where other lines of the same
// shape have others.
//
// mask.go takes out what is variable by its look; the rest is left to Drain
// (He, Zhu, Zheng, Lyu: "Drain: An Online Log Parsing Approach with Fixed Depth
// Tree", ICWS 2017), of which this is the one file that knows.
package shape

import (
	"slices"
	"strings"

	"github.com/faceair/drain"
)

// Bounds of Drain.
const (
	// likeness is how large a part of their words lines of one shape share. It is
	// above the 0.4 that is usual, for masks leave little that varies, and what
	// is lumped together wrongly hides what is new.
	likeness = 0.6
	// maxShapes of one kind; of more, those that were not seen for longest are
	// forgotten and begun anew.
	maxShapes = 1000
)

// Variable stands in a template for what differs.
const Variable = "<*>"

// Line is a line to be grouped.
type Line struct {
	// Kind is what lines of one shape have in common for certain, such as the
	// event that they tell.
	Kind string
	Text string // as Mask gives it
}

// Shape is a group of lines.
type Shape struct {
	Template string
	Lines    []int // indexes, ascending
}

// Group puts lines into shapes, in the order of their first lines. Which shapes
// there are depends on the order of the lines, and on nothing else.
func Group(lines []Line) []Shape {
	miners := map[string]*drain.Drain{}
	clusters := map[*drain.LogCluster]int{}
	var shapes []Shape
	for i, line := range lines {
		miner := miners[line.Kind]
		if miner == nil {
			miner = drain.New(&drain.Config{
				LogClusterDepth: 4, SimTh: likeness, MaxChildren: 100, MaxClusters: maxShapes, ParamString: Variable,
			})
			miners[line.Kind] = miner
		}
		cluster := miner.Train(line.Text)
		at, known := clusters[cluster]
		if !known {
			at = len(shapes)
			clusters[cluster] = at
			shapes = append(shapes, Shape{})
		}
		shapes[at].Lines = append(shapes[at].Lines, i)
	}
	for cluster, at := range clusters {
		shapes[at].Template = template(cluster)
	}
	slices.SortStableFunc(shapes, func(a, b Shape) int { return a.Lines[0] - b.Lines[0] })
	return shapes
}

// template is what Drain shows of a cluster, without its id and size, which it
// gives in no other way: "id={1} : size={2} : connected to <*>".
func template(cluster *drain.LogCluster) string {
	const parts = 3
	said := strings.SplitN(cluster.String(), " : ", parts)
	return said[len(said)-1]
}
