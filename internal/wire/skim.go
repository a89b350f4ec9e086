package wire

// StringEnd is the offset of the quote that ends the JSON string at b[from];
// len(b) when it does not end.
func StringEnd(b []byte, from int) int {
	for i := from + 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(b)
}

// AfterColon is the offset of the value when a colon stands at i; else -1.
func AfterColon(b []byte, i int) int {
	i = skipBlanks(b, i)
	if i >= len(b) || b[i] != ':' {
		return -1
	}
	if i = skipBlanks(b, i+1); i >= len(b) {
		return -1
	}
	return i
}

func skipBlanks(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// ValueEnd is the offset behind the object or array that begins at b[from];
// len(b) when it does not end.
func ValueEnd(b []byte, from int) int {
	depth := 0
	for i := from; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = StringEnd(b, i)
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}
