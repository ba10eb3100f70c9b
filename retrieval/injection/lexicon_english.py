"""English words by class. The form counts: "ignore" orders, "ignores" and "ignored" describe."""

from __future__ import annotations

from typing import Final

from retrieval.injection.lexicon_classes import Word

ENGLISH: Final[dict[Word, str]] = {
    Word.OVERRIDE: (
        "ignore ignoring disregard disregarding forget override overriding bypass bypassing circumvent unlearn "
        "nullify void supersede supersedes overrule overwrite neglect overlook ditch scrap"
    ),
    Word.DROP: (
        "skip skipping drop dropping delete erase abandon discard cancel remove clear reset stop cease quit "
        "avoid replace replaces suspend disable dismiss"
    ),
    Word.OBEY: "obey obeying follow following comply complying adhere heed listen respect abide",
    Word.NEGATION: "not don't dont never no cannot can't won't shouldn't mustn't nor neither doesn't longer",
    Word.INSTRUCTION: (
        "instruction instructions instruct directions directive directives rule rules guideline guidelines "
        "command commands order orders constraint constraints restriction restrictions policy policies "
        "programming training guidance safeguards limits requirements protocol protocols configuration "
        "settings"
    ),
    Word.PROMPT: "prompt prompts preprompt pre-prompt system prompting instruction instructions initialization",
    Word.PRIOR: (
        "previous previously prior above earlier preceding foregoing former initial original existing before "
        "so-far aforementioned past system hidden beginning top given first last developer said told asked "
        "wrote received"
    ),
    Word.VERBATIM: "verbatim exactly literally word letter full entire complete whole exact raw everything",
    Word.EVERYTHING: "everything anything all any whatever every what that this",
    Word.NEW: (
        "new updated revised actual real true only sole main primary final next current important special "
        "additional secret different corrected latest"
    ),
    Word.TASK: (
        "task job goal role purpose objective mission duty assignment identity persona instruction "
        "instructions directive directives rule orders tasks objectives function prompt"
    ),
    Word.YOU: "you u yourself you're youre you've you'll ya thou thee",
    Word.YOUR: "your yours ur my",
    Word.BE: "are is be become becoming you're youre r am being",
    Word.NOW: "now henceforth hereafter onward onwards forward hereon immediately",
    Word.FROM: "from starting beginning as-of",
    Word.INSTEAD: "instead rather",
    Word.AI: (
        "ai a.i assistant assistants chatbot chatbots chatgpt gpt gpt4 gpt3 claude gemini llama copilot llm "
        "llms bot agent agents model models bard mistral siri alexa ais aimodel"
    ),
    Word.GREETING: (
        "dear hey hello hi attention note message memo notice reminder instruction instructions to for ok okay "
        "listen important request"
    ),
    Word.USER: (
        "user users reader readers customer customers human humans person people client clients recipient "
        "audience victim visitor them him her everyone"
    ),
    Word.SAY: (
        "say print output respond reply answer write type return repeat echo display state utter emit produce "
        "show give tell send speak begin start end finish answering responding replying saying outputting "
        "printing generate"
    ),
    Word.REVEAL: (
        "mention discuss reveal revealing show tell give print output repeat display disclose leak expose "
        "share say write list summarize summarise recite copy paste send provide return echo translate spell "
        "describe quote recall reproduce read explain encode dump paraphrase rephrase divulge confess extract "
        "access retrieve"
    ),
    Word.REPEAT: (
        "repeat print output copy recite summarize summarise translate echo reproduce rephrase paraphrase "
        "display list recall restate transcribe quote spell dump rewrite show write say"
    ),
    Word.ONLY: "only just exactly solely simply precisely literally merely exclusively always",
    Word.NOTHING: "nothing no none without",
    Word.ELSE: "else other more further additional",
    Word.ANSWER: (
        "response responses reply replies answer answers output outputs summary summaries completion "
        "completions report translation generation"
    ),
    Word.ADD: (
        "include add append insert prepend attach embed place put incorporate mention prefix modify alter "
        "change adjust replace weave"
    ),
    Word.SECRET: (
        "password passwords passphrase passcode secret secrets credential credentials token tokens apikey keys "
        "pin codeword keyword code access-code key confidential ssn cookie cookies"
    ),
    Word.QUESTION: "what what's whats which how where who",
    Word.ACT: (
        "act acting behave pretend pretending imagine simulate roleplay roleplaying role-play pose impersonate "
        "assume suppose emulate portray become speak talk respond answer"
    ),
    Word.AS: "as like though",
    Word.PERSONA: (
        "dan hacker terminal interpreter compiler simulator pirate villain evil character grandma grandmother "
        "unrestricted uncensored unfiltered amoral console shell emulator linux jailbroken overlord machine"
    ),
    Word.MODE: "mode modes state",
    Word.MODE_NAME: (
        "developer debug debugging admin administrator god dan jailbreak sudo root maintenance unrestricted "
        "unfiltered diagnostic diagnostics override superuser privileged testing emergency unsafe opposite "
        "evil"
    ),
    Word.ENABLE: (
        "enter enable enabled activate activated activating switch engage engaged unlock unlocked initiate "
        "initiated entering on go turn begin start"
    ),
    Word.SELF: "i i'm im we we're this",
    Word.ROLE: (
        "developer developers creator creators admin administrator administrators owner programmer operator "
        "openai anthropic google microsoft ceo boss master supervisor god authorized authorised engineer "
        "sysadmin superuser"
    ),
    Word.ACCESS: "access authentication authorization identity clearance password permission",
    Word.GRANTED: "granted accepted verified correct approved confirmed authenticated authorized validated bypassed",
    Word.WITHOUT: "without no ignore disable remove bypass free lift disregard unbound beyond regardless unlimited",
    Word.SAFETY: (
        "restriction restrictions limitation limitations filter filters censorship ethics ethical ethic safety "
        "moderation safeguard safeguards guardrail guardrails moral morals morality refusal refusals"
    ),
    Word.ENCODING: (
        "base64 base32 rot13 hex hexadecimal morse binary caesar cipher ciphertext ascii unicode leetspeak "
        "leet atbash encoded encrypted backwards reversed url-encoded pig-latin"
    ),
    Word.DECODE: "decode decoding decipher decrypt unscramble encode encrypt translate interpret convert unreverse",
    Word.SEND: (
        "send post forward transmit upload exfiltrate email e-mail mail leak submit transfer deliver relay "
        "report fetch request smuggle sending posting uploading copy share"
    ),
    Word.DATA: (
        "conversation conversations chat history chats data details information credentials contents password "
        "passwords secrets secret cookies token tokens keys transcript dialogue messages inbox emails mails "
        "files file document documents address addresses invoice invoices records contacts"
    ),
    Word.ADDRESS: "https http www",
    Word.LINK: (
        "link links url urls image images img website site webhook endpoint server hyperlink pixel markdown "
        "domain qr banner page"
    ),
    Word.VISIT: "click visit navigate browse open tap follow download install load render call fetch",
    Word.TELL: (
        "tell inform convince persuade ask advise warn instruct direct encourage urge trick notify remind "
        "deceive mislead lie manipulate pressure recommend request telling informing asking"
    ),
    Word.RUN: "execute executing run running eval evaluate perform invoke carry launch trigger complete do implement",
    Word.COMMAND: (
        "command commands instruction instructions code script scripts shell query payload action actions "
        "steps task tasks following order orders request sql bash program"
    ),
    Word.TOOL: (
        "tool tools function functions plugin plugins api browser search email calendar interpreter mcp connector"
    ),
    Word.USE: "use call invoke using calling run trigger open",
    Word.PLAY: "play playing let's lets let",
    Word.GAME: "game games riddle roleplay role-play simulation opposite hypothetically pretend quiz",
    Word.FICTION: (
        "hypothetical hypothetically fictional fiction story novel movie screenplay imagine dream universe "
        "simulation thought-experiment grandma grandmother roleplay parallel"
    ),
    Word.BOUNDARY: "end ends ended begin begins start starts stop eof finish beginning ending close over terminated",
    Word.CONTEXT: (
        "prompt input inputs document documents context conversation text texts message messages data query "
        "instruction instructions entry passage article content contents session dialog dialogue statement "
        "statements"
    ),
    Word.URGENT: (
        "important urgent critical attention warning crucial mandatory imperative priority immediately notice "
        "essential vital"
    ),
    Word.MUST: "must should shall will need have required shouldn't mustn't",
    Word.REFUSE: "refuse decline deny cannot unable sorry unavailable refusing withhold",
    Word.HIDE: "secretly hide hidden conceal silently covertly discreetly quietly unnoticed",
    Word.PRAISE: (
        "recommend promote advertise praise endorse favor favour best hire rank rate rated highest perfect "
        "excellent superior qualified top approve positive positively"
    ),
    Word.LETTERS: (
        "letter letters character characters vowel vowels word words syllable acrostic initials spaces dashes "
        "hyphens uppercase lowercase emoji emojis"
    ),
    Word.JOIN: (
        "concatenate combine join append replace reverse spell separated separate backwards each every between "
        "capitalize interleave insert"
    ),
    Word.CODE: (
        "subprocess popen rmtree getenv environ keylogger pynput urlopen smtplib ftplib paramiko ctypes "
        "getpass winreg xmlhttprequest localstorage eval exec passwd id_rsa nmap netcat scapy pcap keystrokes "
        "ransomware malware unlink getnode uname psutil fernet crontab rm chmod curl wget socket cookie shutil "
        "requests"
    ),
    Word.ATTACK: (
        "attack attacks attacker attackers adversary adversaries adversarial malicious injection injections "
        "jailbreak jailbreaks jailbreaking exploit exploits vulnerability vulnerabilities mitigation threat "
        "threats attacking red-team owasp phishing"
    ),
    Word.EXAMPLE: "example examples e.g eg such like instance sample scenario suppose illustrates",
    Word.DESCRIBED: (
        "ignores ignored disregards disregarded overrides overridden overrode bypasses bypassed reveals "
        "revealed forgets forgot leaks leaked discloses disclosed executes executed might could may tricked "
        "instructs instructed manipulates asks causes caused causing trying tries attempts attempting"
    ),
    Word.IF: "if when whenever once in case",
}

# Words that begin like a stem of another language, or that signs only seem to break, and mean nothing here.
HARMLESS: Final = frozenset(
    {
        "e-mail",
        "e-mails",
        "ignorance",
        "ignorant",
        "oral",
        "orderly",
        "plug-in",
        "plug-ins",
        "regular",
        "regularly",
        "regulation",
        "regulations",
        "secretaries",
        "secretary",
    }
)
