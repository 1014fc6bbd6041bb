package slacklocal

// What a person can act on, as the page shows it: buttons and menus of
// messages, and the inputs of modals.

import "strings"

// widget is a button or a menu.
type widget struct {
	Label   string
	Block   string // block_id
	Action  string // action_id
	Style   string // "", primary or danger
	URL     string // of a button that is a link as well
	Menu    bool
	Options []option
	Confirm *confirmView
}

// confirmView is a question that is asked before an act.
type confirmView struct{ Title, Text, Confirm, Deny, Style string }

// input is a labelled field of a modal.
type input struct {
	Block       string
	Label       string
	Hint        string
	Optional    bool
	Options     []option // of a menu
	Chosen      string   // value of the option that it begins with
	Value       string
	Placeholder string
	Multiline   bool
}

// modalView is an open modal as the page shows it.
type modalView struct {
	ID, Hash, Title, Submit, Close string
	Blocks                         []shownBlock
}

func (b *block) widgets() []widget {
	var out []widget
	for _, e := range b.controls() {
		c := widget{Block: b.BlockID, Action: e.ActionID, Style: str(e.Style), Confirm: e.Confirm.view()}
		if e.Type == "button" {
			if label := e.label(); label != nil {
				c.Label = label.Text
			}
			if s := link(e.URL, "", textStyle{}); s.Kind == spanLink {
				c.URL = s.URL
			}
		} else {
			c.Menu, c.Options, c.Label = true, e.Options, "More"
			if e.Placeholder != nil {
				c.Label = e.Placeholder.Text
			}
			if e.InitialOption != nil {
				c.Label = e.InitialOption.Text.Text
			}
		}
		out = append(out, c)
	}
	return out
}

func (b *block) inputView() *input {
	e := b.Input
	if e == nil {
		return nil
	}
	in := &input{
		Block: b.BlockID, Label: flat(b.Label), Hint: flat(b.Hint), Optional: b.Optional,
		Options: e.Options, Value: e.InitialValue, Placeholder: flat(e.Placeholder), Multiline: e.Multiline,
	}
	if e.InitialOption != nil {
		in.Chosen = e.InitialOption.Value
	}
	return in
}

func (c *confirm) view() *confirmView {
	if c == nil {
		return nil
	}
	return &confirmView{flat(c.Title), flat(c.Text), flat(c.Confirm), flat(c.Deny), c.Style}
}

// flat is a text object's text without any look.
func flat(t *textObject) string {
	var b strings.Builder
	for _, s := range object(t) {
		b.WriteString(s.Text)
	}
	return b.String()
}

// modalView is what is open before a person. Call with mu held.
func (w *Workspace) modalView(user string) *modalView {
	v := w.modals[user]
	if v == nil {
		return nil
	}
	m := &modalView{ID: v.id, Hash: v.hash, Title: flat(v.Title), Submit: flat(v.Submit), Close: flat(v.Close)}
	if m.Close == "" {
		m.Close = "Cancel"
	}
	for i := range v.blocks {
		m.Blocks = append(m.Blocks, v.blocks[i].view()...)
	}
	return m
}
