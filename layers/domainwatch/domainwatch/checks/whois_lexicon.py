"""The words WHOIS servers use, as data. Facts of single registries name their registry."""


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Registries (by top-level domain) that write month before day in all-number dates: Freenom's five.
# Source: their records' own unambiguous dates (03/28/2013).
MONTH_FIRST = _set("cf ga gq ml tk")
# Top-level domains whose names the WHOIS root itself registers; elsewhere its "0 objects" is about its own database.
ROOT_SERVED = _set("arpa int")
# Label → (field, rank). The lowest rank wins, then the first in the text. Labels are compared as `whois_page.plain`
# leaves them.
LABELS = {
    label: (field, rank)
    for field, rank, labels in (
        (
            "domain",
            0,
            "domain name|domain|domainname|query|domain name ace|ascii|ace|nom de domaine|nome de dominio|"
            "nome de domínio|nombre de dominio|dominio|domínio|domeinnaam|complete domain name|도메인이름|"
            "ドメイン名|domain object|object|fqdn|domain name utf8|domaine|domena|nazwa domeny|alan adi",
        ),
        (
            "id",
            0,
            "registry domain id|domain id|roid|domain handle|repository object id",
        ),
        (
            "registrar",
            0,
            "registrar|registrar name|sponsoring registrar|sponsoring registrar organization|"
            "registrar organization|registration service provider|authorized agency|current registrar|"
            "current registar|registrar of record|registrar company name|sponsoring registrar name|"
            "registrar organisation|bureau d'enregistrement|registrar company",
        ),
        (
            "registrar",
            1,
            "registered by|등록대행자|registrado por|registered through|managing registrar|provider|registered with",
        ),
        (
            "registrar",
            2,
            "created by|registrar id|registrar handle|sponsoring registrar id|created by registrar",
        ),
        (
            "expires",
            0,
            "registry expiry date|expiry date|expiration date|expires|expires on|expiry|expire|expire date|"
            "expires at|expiration time|domain expiration date|paid till|valid until|valid date|validity|"
            "exp date|expire on|fecha de vencimiento|fecha de expiracion|fecha de expiración|data de expiracao|"
            "data de expiração|date d'expiration|사용 종료일|有効期限|domain expires|record expires|expiration|"
            "record will expire on|domain datebilleduntil|domain currently expires|expired|vencimento|"
            "date expiration|ablaufdatum|domain expires on|record expires on|record expired",
        ),
        (
            "expires",
            1,
            "renewal date|renewal|renew date|registered until|registered till|due date",
        ),
        (
            "expires",
            2,
            "registrar registration expiration date",
        ),
        (
            "created",
            0,
            "creation date|created|created on|registered|registered on|registration date|registration time|"
            "created date|record created|domain registered|domain create date|domain registration date|"
            "first registration date|registered date|domain name commencement date|date registered|activation|"
            "acivated|activated|activated on|fecha de creacion|fecha de creación|fecha de registro|"
            "data de registo|data de criacao|data de criação|date de creation|date de création|登録年月日|등록일|"
            "entry created|domain created|domain dateregistered|create date|created at|registration|"
            "record created on|domain created on|reg date|creation|registration started|assigned",
        ),
        (
            "created",
            1,
            "connected date|接続年月日|requested on|delegated|reg created",
        ),
        (
            "updated",
            0,
            "updated date|last updated|last update|updated|last modified|modified|changed|last updated on|"
            "updated on|domain last updated date|last changed|record last updated|entry updated|"
            "modification date|last modification|domain datelastmodified|record changed|domain last updated|"
            "record last updated on|derniere modification|dernière modification|ultima actualizacion|"
            "ultima actualización|última actualización|最終更新|최근 정보 변경일|last updated date|"
            "record last modified|update date|modified date|last edited on|record changed on|last edited|"
            "updated at",
        ),
        (
            "status",
            0,
            "status|domain status|state|eppstatus|epp status|registration status|query status|estado|"
            "estatus del dominio|statut|状態|状态|domain state|status of domain|domain statuses|domaintype|"
            "estatus|stato|stan|durum",
        ),
        (
            "status",
            1,
            "ren status",
        ),
        (
            "nameserver",
            0,
            "name server|nameserver|nserver|nameservers|name servers|dns|dns servers|primary server|"
            "secondary server|host name|hostname|dns name|ns|dns server|name server db|primary name server|"
            "secondary name server|ネームサーバ|호스트이름|domain servers|nameserver information|server|"
            "name server ace|nserver s",
        ),
        (
            "referral",
            0,
            "registrar whois server|whois server|refer|whois|registrar whois",
        ),
        (
            "dnssec",
            0,
            "dnssec|signed|domain signed|dnssec signed|secure dns",
        ),
        (
            "holder",
            0,
            "registrant|registrant name|registrant organization|registrant organisation|holder|owner|owner name|"
            "org|descr|admin c|tech c|registrant contact name|mnt by|person|organization|registered for|"
            "domain owner|eligibility type|registrant id|holder c|registrant contact|domain holder|"
            "domain name holder|登録者名|등록인|ownerid|registrantname|titular|titulaire|zone c|"
            "organization using domain name|組織名|[登録者名]|登録担当者",
        ),
    )
    for label in labels.split("|")
}
# A label with one of these words is about a person, a registrar's own object or the database, not about the name.
NOT_OF_THE_NAME = _set(
    "abuse address admin administrative agent billing by contact database dns ds eligibility email free "
    "handle holder iana id key option owner period phone registrant reseller tech technical trade "
    "trademark transfer transferred type url"
)
# A label nobody listed, by the start of one of its words.
LABEL_WORDS = (
    ("expir", "expires"),
    ("creat", "created"),
    ("registration", "created"),
    ("updat", "updated"),
    ("modif", "updated"),
    ("changed", "updated"),
)
# Dates of a registrar's own object, when they stand in its section.
OF_A_REGISTRAR = frozenset(_list("changed|created|created on|last update|modified|registered|status|updated"))
NUMBERED = _list("ns|nserver|nameserver|name server|domain server|dns|ns name|host")
CONTACT_WORDS = _list(
    "registrant|owner|holder|contact|admin|tech|billing|titular|person|contacto|onsite|titulaire|"
    "organisation|organization|nic hdl|role|nsset|keyset|irt|mntner|eligibility|abuse|reseller|zone c|"
    "key1 tag"
)
SERVER_WORDS = _list(
    "name server|nameserver|dns server|domain server|nserver|servidor|serveurs de noms|serveur de noms|host name|"
    "nombres de dominio|nsentry"
)
# Sentences that hold a field: start of the line → field.
SENTENCES = (
    ("record created on", "created"),
    ("record created", "created"),
    ("created on", "created"),
    ("registered on", "created"),
    ("record changed on", "updated"),
    ("record last updated on", "updated"),
    ("last updated on", "updated"),
    ("record expires on", "expires"),
    ("expires on", "expires"),
    ("status", "status"),
)
NO_REGISTRAR = frozenset(_list("|-|n/a|none|not defined|not disclosed|redacted"))
FREE_STATUS = frozenset(
    _list(
        "220 available|available|available for registration|disponible|does not exist|domain not found|free|"
        "frei|inexistent|laisva|libre|livre|no entries found|no match|no object found|nonexistent|not exist|"
        "not found|not registered|notfound|unassigned|unregistered|volná"
    )
)
RESERVED_STATUS = _list("reserved|unassignable|prohibited|restricted|premium|forbidden|not allowed|reserve|not open")
# Words that keep a name from registration where nothing else is said of it, and are a state of a record where more is.
CLOSED_STATUS = _list("blocked|unavailable|not available|excluded|withheld")
TAKEN_STATUS = _list(
    "active|ok|connect|registered|delegated|inactive|suspended|hold|pending|redemption|quarantine|to be|"
    "released|expired|locked|published|prohibited|transfer|renew|delete|busy|assigned|grace|activo|actif|"
    "aktiv|paid|in zone|onhold|deactivated|ativo|registrado|in use|live|failed|verified|200 |210 "
)
# A denial is a statement of these words alone: one that denies, one of being, and something that is or is not there.
DENIALS = _set("no not nothing none isn't doesn't hasn't wasn't")
FINDING = _set("found find match matches matching matched")
BEING = _set("exist exists existing registered registred known") | FINDING
SUBJECTS_OF_DENIAL = _set(
    "<n> such domain domains name names domainname object objects entry entries record records data "
    "information info "
    "registration result results key"
)
ENTRIES = _set("entry entries record records")
FILLER = _set(
    "the a an this that your you we our i of for to in on at by with from and is are was were be "
    "been being has have had "
    "do does did it its there any all database registry whois register request requested query "
    "queried search searched "
    "searching looking return returned returns selected source sources sorry but please code status "
    "currently current "
    "yet lookup look looked up within as criteria could these above unfortunately"
)
VOCABULARY = FILLER | DENIALS | BEING | SUBJECTS_OF_DENIAL
REGISTER_WORDS = _set("database db nic register registry system whois")
# What registries say in words of their own, the name as `<n>`: starts of a statement.
DENIAL_PHRASES = _list(
    "<n> no existe|<n> not registered|no information available about domain name <n>|"
    "no information about domain|invalid query or domain name not known|"
    "this domain is not available in our whois database|"
    "we do not have an entry in our database matching your query|"
    "above domain name is not registered to krnic|"
    "the requested domain was not found in the registry or registrar|the queried object does not exist|"
    "not registered the domain you have requested|el dominio no se encuentra registrado|"
    "el dominio <n> no se encuentra registrado|no se encontro el objeto|no_se_encontro_el_objeto|"
    "object_not_found|dominio no registrado|dominio no encontrado|dominio inexistente|"
    "domínio inexistente|nao foram encontrados registros|nincs talalat|nincs találat|"
    "aucun enregistrement trouvé|aucun résultat|domaine inconnu|상기 도메인이름은 등록되어 있지 않습니다|"
    "no records matching <n>|no such domain|such a domain does not exist"
)
# Whole statements: with one word more they would say something else (`available for backorder`).
WHOLE_DENIALS = frozenset(
    _list(
        "available|free|notfound|available yes|status available|status free|domain status available|"
        "domain status free|domain unknown|unknown domain|domain name unknown|<n> unknown|"
        "dominio disponible|nom de domaine libre|"
        "le nom de domaine <n> est libre|le nom de domaine est libre"
    )
)
# Whole denials that could be said of anything, so the name must be named somewhere.
NAMELESS = frozenset(
    _list("available|free|available yes|status available|status free|domain status available|domain status free")
)
# What is left of a statement without its subject (`the domain <n> …`).
SUBJECT_WORDS = _set(
    "this the domain name domainname object <n> le la el der die o nom de domaine dominio domínio domena domeny"
)
FREE_PREDICATES = frozenset(
    _list(
        "is free|is available|free|available|is available for registration|is available for purchase|"
        "n'existe pas|n’existe pas|no existe|não existe|nao existe|nie istnieje|nu exista|existiert nicht|"
        "ist nicht registriert|nicht gefunden|não encontrado|nao encontrado|no encontrado|ei löytynyt|ingen träff|"
        "tidak ditemukan|niet gevonden|is niet geregistreerd|non esiste|non trovato|"
        "is available to register|is free for registration|is available for registration please visit|"
        "is available for registration please see"
    )
)
# Words of trouble: a short line with one of them, that is no part of terms, makes a denial beside it worth nothing.
TROUBLE = _set(
    "limit exceed exceeds exceeded exceeding denied denial refused rejected blocked banned blacklisted "
    "blacklist quota throttled throttling overload overloaded busy failed failure fails timeout timed wait waiting "
    "retry later again unavailable abort aborted offline suspended disabled forbidden unauthorized unauthorised "
    "captcha excessive maximum too stale sync unsynchronised unsynchronized outdated"
)
# First labels of what are a registry's own hosts, not names somebody asked about.
HOST_LABELS = _set("www whois nic rdap registry help register info dns das")
# What answers on port 43 and is no WHOIS server: web servers, proxies.
NOT_WHOIS = ("http/1.", "http/2", "<!doctype", "<html", "<?xml", "<head", "<body", "{")
THROTTLE_MARKS = _list(
    "quota|limit exceeded|too short|too frequent|too often|excede el|excedido|limit has been|"
    "limit reached|been exceeded|exceeded the|exceeded your|too many|"
    "rate limit exceeded|throttled|requests per|request per|queries per|per second allowed|"
    "maximum number of|number of allowed queries|excessive querying|been blacklisted|is blacklisted|"
    "are blacklisted|been banned|grace period wait|slow down|access control limit|"
    "requests of this client are not permitted|client are not permitted|access denied|permission denied|"
    "request denied|blocked until|you are blocked|ip has been blocked|address has been blocked|"
    "been temporarily blocked|second time before|seconds before|exceeded maximum|maximum query|"
    "query rate of|connection limit|requests from your|queries from your|connections from your|"
    "response throttled|limit for|allowance|you have reached|max requests|not authorized to query|"
    "not allowed to query|try later|limit is reached|over limit|exceeded query|exceeded allowed|"
    "you have been blocked|has been blocked due|lookups per|too quickly|too fast|please slow|"
    "demasiadas consultas|limite de consultas|límite de consultas|maximum allowed|exceed allowed|"
    "excess of queries|been limited|whois limit|daily limit|query limit|ip limit|temporarily denied|"
    "temporarily banned|is banned"
)
BROKEN_MARKS = _list(
    "temporarily|service unavailable|service is unavailable|service not available|"
    "service is not available|currently unavailable|currently down|timed out|timeout|internal error|"
    "internal server error|server error|can't process|cannot process|could not be performed|"
    "could not be processed|unable to connect|unable to process|unable to retrieve|connection refused|"
    "connection failed|connection reset|database error|database failure|database connection|please wait|"
    "under maintenance|for maintenance|scheduled maintenance|tld is not supported|not supported|"
    "unknown tld|invalid tld|name or service not known|server busy|server is busy|system busy|is busy|"
    "try again|query failed|lookup failed|search failed|failed to|refused|out of service|syntax error|"
    "malformed|does not have any records for that zone|unsupported|no whois server|not authoritative|"
    "can not be answered|cannot be answered|does not serve|"
    "backend un|backend is|backend err|backend fail|backend time|backend not|backend conn|backend serv|"
    "backend down|to backend|exception|"
    "bad gateway|gateway time|"
    "no such tld|tld not|not managed by this|unavailable at this time|invalid request|bad request|"
    "unknown command|invalid command"
)
RESERVED_WORDS = _set(
    "adultblock blocked disallowed dpml forbidden globalblock ineligible premium prohibited "
    "reserved restricted unallocatable unassignable"
)
RESERVED_PHRASES = _list(
    "not available|cannot be registered|can not be registered|may not be registered|not be registered|"
    "not eligible|unavailable for registration|not allowed|not open for|not registrable|is unavailable|"
    "no está disponible|unavailable"
)
SUBJECTS = _list("<n>|this domain|this name|the domain|the name|domain name|this object|this string|requested")
# Terms of use use the same words of rights, data and access.
OF_RIGHTS = _set("rights right reserves")
OF_USE = _list("prohibited to|restricted to|restricted in|strictly prohibited|expressly prohibited|protected by")
OF_TERMS = _set(
    "access advertising copy copyright data disclosure http https information law laws limits purposes "
    "queries redistribution reserves right rights see terms transmission usage use user users uses you"
)

# --- What is said of a name beside a denial (`whois_doubts`) --------------------------------------------------------

# Words and phrases of a registry that keeps a name for itself, said of the name or in a line of their own.
KEPT_WORDS = _set(
    "withheld withhold platinum premium auction auctioned conflict conflicts conflicting dispute disputed "
    "disputes udrp locked embargoed embargo blocked sensitive collision unavailable set-aside"
)
KEPT_PHRASES = _list(
    "hold list|holdlist|make an offer|for purchase from the registry|for sale|set aside|not be released|"
    "held by the registry|held back|reserved"
)
# Parts of words for what a name lives through, and for what is being decided about it.
FATES = _list(
    "redempt|quarantin|pending|purge|grace|onhold|serverhold|clienthold|auction|backorder|back-order|dispute|"
    "udrp|withheld|platinum|premium|embargo|sunrise|landrush|inactive|suspend|delete|deletion|expired|restor|"
    "lock|blocked|collision|moratori|reserved|litigat|sinkhol|seized|revoked|cancel|applicat|applied|allocat|"
    "nominat|waitlist|wait-list|variant|bundle|judicial|pricing|dropping|dropped|droplist|expiring"
)
FATE_PHRASES = _list(
    "in process|in progress|being processed|under review|on hold|hold list|in transfer|being transferred|"
    "about to be|release date|drop date|deletion date|will be released|will be purged|to be purged|"
    "to be released|not yet|coming soon|available from|available on|available soon|available after|released on|"
    "claims period|for sale|make an offer|starting price|has been registered|is registered|already registered|"
    "already taken|is taken|subject to|not open|only for|only by|only to|held for|held by|delegated to|drop list|"
    "court order|not free|not for|contact the registry|contact registry"
)
NO_FATE = _set("purged block blocks clock o'clock applicable timelocked netblock")
MALFORMED = _set(
    "invalid malformed illegal incorrect unrecognised unrecognized ill-formed ungültig invalido inválido wrong "
    "bad unparsable erroneous improper"
)
# States of a name that is there, in one word.
TAKEN_WORDS = _set(
    "registered taken active assigned delegated reserved locked blocked hold owned connected connect used busy "
    "occupied sold protected unavailable"
)
QUESTIONS = _set("query request command input syntax domain name domainname object argument parameter format string")
POINTERS = _set("this that requested queried above said searched entered following such")
NAME_NOUNS = _set("domain name domainname object string label sld idn domain-name")
# After a noun for a name: what makes it part of another noun.
COMPOUNDS = _set(
    "server servers registry registries registrar registrars registrant registrants registration registrations "
    "system service services space holder holders owner owners names database information data record records "
    "whois lookup search industry commission foundation administrator rules policy policies dispute extension "
    "zone"
)
# Between a pointer and a noun: what it points at instead.
BREAKERS = _set(
    "query whois data information service services server database registry policy agreement page response result "
    "results website site of for in to is are was by from and or on as with about"
)
ARTICLES = _set("a an any each every all no your our")
VERBS = _set(
    "is was has had will would shall can cannot could may might must should does did in on under not being been "
    "isn't wasn't hasn't becomes became remains stays belongs exists"
)
# Names in general, as terms and help speak of them.
IN_GENERAL = _set("domains names names' any all registrants registrars registrations users customers")
# What may be said of a name that is not there: an echo of the question, and how to register it.
ECHOES = _set(
    "received related concerning regarding query queried request requested search searching searched lookup whois "
    "checking results result for"
)
BANNER = _set("whois copyright c © rights right reserves")
# Words of a banner: software, its version, the house.
OF_SERVERS = BANNER | _set(
    "server service version registry nic hosted operated powered welcome end eof session connection "
    "servidor serveur dominios domínios query objects format output details helpdesk support "
    "generated processed charge seconds msec ms"
)
ADVERTS = _set(
    "accredited contact available availability register registering registration registrar registrars can may now "
    "today here online visit go click order buy get want wish would like if via through using about more further "
    "www url web website site page one own our yours free reseller start begin check also let us"
)
HARMLESS = (
    FILLER
    | BEING
    | SUBJECTS_OF_DENIAL
    | ADVERTS
    | ECHOES
    | _set("dominio domínio domaine nom de domena fqdn ace ascii")
)
# Labels of what a server says of itself or its answer.
SERVER_LABELS = _set(
    "whois server database lookup query queried request copyright terms term conditions notice disclaimer tel "
    "phone telephone fax email e-mail mail web website url http https www help support version source encoding "
    "charset timestamp generated visit contact use details detail script language responses codes usage example "
    "examples ip client host operator powered supported sectorial cctlds registrars policy privacy hours"
)
SERVER_TIMES = _set(
    "date time datetime when update updated last results records number of objects total served by to server lookup "
    "query count elapsed duration registry response provided "
    "responsible ms tld zone extension code error"
)
# Labels that speak of a name even in a comment.
OF_A_NAME = _set(
    "status state reason remark remarks price tier category class phase stage hold release restriction "
    "restrictions availability available registered registrar premium reserved locked fee notes owner holder "
    "note info information message comment comments"
)
HARMLESS_VALUES = _set("domain domains templates redacted none n/a - 0")
# Headings below which a denial is of something else.
OTHER_SUBJECTS = _list(
    "registrar|registrars|registrant|registrants|nameserver|nameservers|name server|name servers|contact|"
    "contacts|host|hosts|dnssec|reseller|admin|tech|billing|abuse|person|owner|holder|organization|organisation|"
    "handle|nic-hdl|ds records|ds record|keys|server|servers|registrar information|contact information|"
    "nameserver information|registrant information|registrar details|contact details"
)
