package playbook

import (
	"fmt"
	"reflect"
	"strconv"
	"text/template/parse"
)

// Bounds of loops: how deep they nest, and how often each goes round. A
// template cannot be interrupted, so it must be short by itself.
const (
	maxLoopDepth = 2
	maxLoopItems = 1000
)

// place is where in its language a text stands: within which literal, after
// which token. Each language gives its own meaning to mode.
type place struct {
	mode int
	last byte // the last one of significance outside of literals; 0 at the start
}

// rewriter adds to each action of a template the escaper that its place asks
// for, in the manner of html/template. Both branches of a condition must end
// at the same place, else what follows them would stand at two.
type rewriter struct {
	lang   language
	places map[*parse.ActionNode]place
	report func(parse.Node, string)
	failed bool
	loops  int // around the node at hand
}

func (r *rewriter) fail(n parse.Node, problem string) {
	if !r.failed { // the places after a failure mean nothing
		r.failed = true
		r.report(n, problem)
	}
}

func (r *rewriter) list(at place, list *parse.ListNode) place {
	if list == nil {
		return at
	}
	for _, n := range list.Nodes {
		at = r.node(at, n)
	}
	return at
}

func (r *rewriter) node(at place, n parse.Node) place {
	switch n := n.(type) {
	case *parse.TextNode:
		after, err := r.lang.text(at, string(n.Text))
		if err != nil {
			r.fail(n, err.Error())
		}
		return after
	case *parse.ActionNode:
		return r.action(at, n)
	case *parse.IfNode:
		return r.branch(at, &n.BranchNode)
	case *parse.WithNode:
		return r.branch(at, &n.BranchNode)
	case *parse.RangeNode:
		if r.loops++; r.loops > maxLoopDepth {
			r.fail(n, fmt.Sprintf("has more than %d loops within one another; write it flatter", maxLoopDepth))
		}
		defer func() { r.loops-- }()
		n.Pipe.Cmds = append(n.Pipe.Cmds, callTo("_loop", n.Pos, n.Pipe.String()))
		if r.list(at, n.List).mode != at.mode {
			r.fail(n, "the body of {{ range }} must end where it began; close every quote within it")
		}
		if r.list(at, n.ElseList).mode != at.mode {
			r.fail(n, "the {{ else }} of {{ range }} must end where its body does")
		}
		return at
	case *parse.CommentNode:
		return at
	default:
		r.fail(n, n.String()+" has no place in a playbook's template; write the text where it is used")
		return at
	}
}

func (r *rewriter) branch(at place, n *parse.BranchNode) place {
	then, otherwise := r.list(at, n.List), r.list(at, n.ElseList)
	if then.mode != otherwise.mode || then.last != otherwise.last && (then.last == '~' || otherwise.last == '~') {
		r.fail(n, "both branches of a condition must end at the same kind of place; close every quote within each")
	}
	return then
}

func (r *rewriter) action(at place, n *parse.ActionNode) place {
	if len(n.Pipe.Decl) != 0 {
		return at // sets a variable and writes nothing
	}
	escaper, after, err := r.lang.action(at, n)
	if err != nil {
		r.fail(n, err.Error())
		return at
	}
	r.places[n] = at
	source := n.Pipe.String()
	n.Pipe.Cmds = append(n.Pipe.Cmds, callTo(escaper, n.Pos, source))
	return after
}

// callTo is the end of a pipeline that hands its value to one of our own
// functions, with the pipeline's source for messages.
func callTo(function string, pos parse.Pos, source string) *parse.CommandNode {
	return &parse.CommandNode{
		NodeType: parse.NodeCommand,
		Pos:      pos,
		Args: []parse.Node{
			parse.NewIdentifier(function).SetPos(pos),
			&parse.StringNode{NodeType: parse.NodeString, Pos: pos, Quoted: strconv.Quote(source), Text: source},
		},
	}
}

// loopOver lets a loop go over a map or a list of bounded length, and over
// nothing else: Go's templates would also count to any number.
func loopOver(source string, v any) (any, error) {
	value := reflect.ValueOf(v)
	switch value.Kind() {
	case reflect.Invalid:
		return nil, nil
	case reflect.Map, reflect.Slice:
		if value.Len() <= maxLoopItems {
			return v, nil
		}
		return nil, &valueError{fmt.Sprintf("{{ range %s }} would go round %d times; %d is the most", source, value.Len(), maxLoopItems)}
	default:
		return nil, &valueError{fmt.Sprintf("{{ range %s }} goes over a %s; it takes a list or a map", source, value.Kind())}
	}
}

// lastFunction is the function that ends a pipeline, "" when it ends otherwise.
func lastFunction(n *parse.ActionNode) string {
	last := n.Pipe.Cmds[len(n.Pipe.Cmds)-1]
	if ident, ok := last.Args[0].(*parse.IdentifierNode); ok {
		return ident.Ident
	}
	return ""
}

// soleField is the chain of names of an action that is one field and no more:
// {{ .Services.app }}. It is nil for any other.
func soleField(n *parse.ActionNode) []string {
	if len(n.Pipe.Cmds) != 1 || len(n.Pipe.Cmds[0].Args) != 1 {
		return nil
	}
	if field, ok := n.Pipe.Cmds[0].Args[0].(*parse.FieldNode); ok {
		return field.Ident
	}
	return nil
}
