// Package command is what people may ask triagebot for, in words: one core behind
// slash commands, mentions, buttons and the command line, so that the same words
// do the same whichever way they come in.
//
// A command that changes something is one transaction: the request is taken up
// (a second copy of it is answered as the first was), the change is made, and the
// messages that it causes are owed. It is audited there, as is what was refused.
package command
