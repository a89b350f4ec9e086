package translate

// Size is about the length of a request, so that its text is not copied as it
// grows.
func (c *Conversation) Size() int {
	size := 1024
	for i := range c.Tools {
		t := &c.Tools[i]
		size += 128 + len(t.Description) + len(t.Schema) + len(t.Raw)
	}
	for i := range c.Messages {
		size += 40 + sizeOfParts(c.Messages[i].Parts)
	}
	return size
}

func sizeOfParts(parts []Part) (size int) {
	for _, p := range parts {
		size += 80
		switch p := p.(type) {
		case *Text:
			size += len(p.Text) + len(p.Text)/16 // for what is escaped
		case *Thinking:
			size += len(p.Text) + len(p.Signature) + len(p.Sealed)
		case *Media:
			size += len(p.Data) + len(p.Text) + len(p.Raw)
		case *ToolCall:
			size += len(p.Args)
		case *ToolResult:
			size += len(p.Raw) + sizeOfParts(p.Parts)
		case *Other:
			size += len(p.Raw)
		}
	}
	return size
}
