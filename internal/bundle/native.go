package bundle

import "cmp"

// optional are packages whose native code only makes them faster, or is not used here, and that publish no wheel without
// it, at least in versions that are asked for: they are deployed without. Each says why that is right.
var optional = map[string]string{
	"aiohttp":           "parses HTTP in Python, too",
	"greenlet":          "SQLAlchemy asks for it, and needs it for asyncio only",
	"httptools":         "uvicorn asks for it, and no server is started here",
	"lazy-object-proxy": "has the same proxy in Python",
	"markupsafe":        "escapes in Python, too",
	"msgpack":           "packs in Python, too",
	"multidict":         "has the same dictionaries in Python",
	"pyyaml":            "has its loader in Python; CLoader is missing",
	"ruamel-yaml-clib":  "ruamel.yaml has its loader in Python",
	"sqlalchemy":        "has its rows in Python, too",
	"uvloop":            "uvicorn asks for it, and no server is started here",
	"watchfiles":        "uvicorn asks for it to reload, and no server is started here",
	"wrapt":             "has the same wrappers in Python",
	"zope-interface":    "has the same interfaces in Python",
}

// A substitute is what to do without a package of native code.
type substitute struct {
	constraint string // an older version of the package, or of the one that asks for it, that is Python alone; empty if there is none
	hint       string
}

// substitutes of packages that many ask for.
var substitutes = map[string]substitute{
	"pydantic-core":   {"pydantic<2", "pydantic 2 is native code: pydantic 1.10 runs, also under FastAPI (up to 0.125), so do not ask for a newer one"},
	"rpds-py":         {"jsonschema<4.18", "jsonschema 4.17 is Python alone, so do not ask for a newer one"},
	"argon2-cffi":     {"", "hashlib.scrypt and hashlib.pbkdf2_hmac hash passwords"},
	"asyncpg":         {"", databaseHint},
	"bcrypt":          {"", "hashlib.scrypt and hashlib.pbkdf2_hmac hash passwords"},
	"cffi":            {"", "the package that asks for it calls native code: choose one that is Python alone"},
	"cryptography":    {"", "hashlib, hmac and secrets are there; PyJWT signs and checks HS256 without it"},
	"grpcio":          {"", "call the service's HTTP interface with httpx or requests"},
	"jiter":           {"", "call the service's HTTP interface with httpx or requests"},
	"lxml":            {"", "xml.etree.ElementTree is there; beautifulsoup4 parses HTML with \"html.parser\""},
	"mysqlclient":     {"", databaseHint},
	"numpy":           {"", numericHint},
	"orjson":          {"", "json is there"},
	"pandas":          {"", numericHint},
	"pillow":          {"", "let a service that the function calls work on images"},
	"psycopg-binary":  {"", databaseHint},
	"psycopg2":        {"", databaseHint},
	"psycopg2-binary": {"", databaseHint},
	"pycryptodome":    {"", "hashlib, hmac and secrets are there"},
	"pynacl":          {"", "hashlib, hmac and secrets are there"},
	"regex":           {"", "re is there"},
	"scikit-learn":    {"", numericHint},
	"scipy":           {"", numericHint},
	"tiktoken":        {"", "let a service that the function calls count tokens"},
	"tokenizers":      {"", "let a service that the function calls do this"},
	"torch":           {"", "call a model's HTTP interface with httpx or requests"},
	"ujson":           {"", "json is there"},
}

const (
	databaseHint = "call the database's HTTP interface, or keep data in context['aleph'].store"
	numericHint  = "math, statistics, decimal and fractions are there; let a service that the function calls do more"
	genericHint  = "choose a package that is Python alone, or a version of it that was"
)

// hintFor is what to do without a package of native code.
func hintFor(name string) string { return cmp.Or(substitutes[name].hint, genericHint) }
