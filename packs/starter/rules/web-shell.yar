// Pages that run what a request tells them to. Each idiom is one that no application needs.

rule WebShell_PHP_Runs_Request
{
  meta:
    description = "PHP that hands a part of the request to eval or to the shell"
    attack = "T1505.003"
  strings:
    $php = "<?"
    $runs = /(^|[^\w>:$])(eval|assert|system|passthru|shell_exec|exec|popen|proc_open|pcntl_exec)\s{0,8}\(\s{0,8}@?(\w{1,32}\s{0,4}\(\s{0,8}){0,4}@?\$_(GET|POST|REQUEST|COOKIE|SERVER\s{0,4}\[\s{0,4}['"]HTTP_)/ nocase
  condition:
    filesize < 1MB and $php and $runs
}

rule WebShell_PHP_Calls_What_Request_Names
{
  meta:
    description = "PHP that calls a function whose name and argument are parts of the request"
    attack = "T1505.003"
  strings:
    $php = "<?"
    $calls = /\$_(GET|POST|REQUEST|COOKIE)\s{0,4}[\[{][^\]}\r\n]{1,64}[\]}]\s{0,4}\(\s{0,4}@?\$_(GET|POST|REQUEST|COOKIE)\s{0,4}[\[{]/ nocase
  condition:
    filesize < 1MB and $php and $calls
}

rule WebShell_PHP_Unpacks_Itself
{
  meta:
    description = "PHP whose code is packed into a long text and unpacked when it runs"
    attack = "T1505.003, T1027"
    lazaret_judgement = "suspicious"
  strings:
    $php = "<?"
    $unpacks = /\b(eval|assert)\s{0,8}\(\s{0,8}@?(gzinflate|gzuncompress|gzdecode|str_rot13|strrev)\s{0,4}\(\s{0,8}((str_rot13|strrev|gzinflate)\s{0,4}\(\s{0,8}){0,3}base64_decode\s{0,4}\(\s{0,8}['"][A-Za-z0-9+\/=]{64}/ nocase
  condition:
    filesize < 4MB and $php and $unpacks
}

rule WebShell_JSP_Runs_Request
{
  meta:
    description = "A JSP that hands a parameter of the request to the shell"
    attack = "T1505.003"
  strings:
    $jsp = "<%"
    $runs = /\.\s{0,4}exec\s{0,4}\(\s{0,8}request\s{0,4}\.\s{0,4}getParameter\s{0,4}\(/
  condition:
    filesize < 1MB and $jsp and $runs
}
