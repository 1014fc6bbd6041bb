package slacklocal

// The ids by which blocks and what people act on in them are found: the app's,
// or by place where it gave none.

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// controls are the block's buttons, menus and inputs.
func (b *block) controls() []*element {
	var out []*element
	switch {
	case b.Type == "actions":
		for i := range b.Elements {
			out = append(out, &b.Elements[i])
		}
	case b.Accessory != nil:
		out = append(out, b.Accessory)
	case b.Input != nil:
		out = append(out, b.Input)
	}
	return out
}

func (e *element) option(value string) *option {
	for i := range e.Options {
		if e.Options[i].Value == value {
			return &e.Options[i]
		}
	}
	return nil
}

func controlIn(blocks []block, blockID, actionID string) *element {
	for i := range blocks {
		for _, e := range blocks[i].controls() {
			if blocks[i].BlockID == blockID && e.ActionID == actionID && e.Type != "plain_text_input" {
				return e
			}
		}
	}
	return nil
}

func blockIn(blocks []block, id string) *block {
	for i := range blocks {
		if blocks[i].BlockID == id {
			return &blocks[i]
		}
	}
	return nil
}

// giveNames gives blocks, and elements that people act on, the ids that Slack
// makes up where the app gave none: by their place.
func giveNames(blocks []block) {
	for i := range blocks {
		if blocks[i].BlockID == "" {
			blocks[i].BlockID = fmt.Sprint("b", i)
		}
		for j, e := range blocks[i].controls() {
			if e.ActionID == "" {
				e.ActionID = fmt.Sprint("a", j)
			}
		}
	}
}

// named reads blocks and gives them names, in what was read and in the JSON. Of
// what are no blocks it makes none.
func named(raw json.RawMessage) (json.RawMessage, []block) {
	none := json.RawMessage("[]")
	blocks, err := parseBlocks(raw)
	if err != nil {
		return none, nil
	}
	giveNames(blocks)
	var objects []map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&objects) != nil {
		return none, nil
	}
	set := func(object any, field, name string) {
		if o, ok := object.(map[string]any); ok && o != nil {
			o[field] = name
		}
	}
	for i, o := range objects {
		set(o, "block_id", blocks[i].BlockID)
		elements, _ := o["elements"].([]any)
		for j, e := range blocks[i].controls() {
			switch e {
			case blocks[i].Accessory:
				set(o["accessory"], "action_id", e.ActionID)
			case blocks[i].Input:
				set(o["element"], "action_id", e.ActionID)
			default:
				if j < len(elements) { // a struct is read from "Elements" too
					set(elements[j], "action_id", e.ActionID)
				}
			}
		}
	}
	out, err := json.Marshal(objects)
	if err != nil {
		return none, nil
	}
	return out, blocks
}
