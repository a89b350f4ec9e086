package store

// The statements that list keys in the order of an index.
const (
	KeyPageByCreatedDown = sqlKeyPageByCreatedDown
	KeyPageByName        = sqlKeyPageByName
	KeyPageByNameDown    = sqlKeyPageByNameDown
)
