// One-liners that give a shell to whoever listens elsewhere, where they come from scripts, cron and systemd.

private rule Starts_Something
{
  strings:
    $unit = "\nExecStart"
    $every = "* * *"
    $named = /@(reboot|hourly|daily|midnight|weekly|monthly)[ \t]/
  condition:
    uint16(0) == 0x2123 or any of them
}

rule Reverse_Shell_Bash
{
  meta:
    description = "An interactive shell whose input and output are a connection of bash's own"
    attack = "T1059.004"
  strings:
    $shell = /\b(ba|z|k|da)?sh[ \t]{1,4}-i[ \t]{0,4}([0-9]?>&|&>|>)[ \t]{0,4}\/dev\/(tcp|udp)\/[0-9A-Za-z._:${}-]{1,253}\/[0-9${]/
  condition:
    filesize < 256KB and uint32(0) != 0x464C457F and $shell
}

rule Reverse_Shell_Netcat
{
  meta:
    description = "A program that is started by itself and lets netcat run a shell"
    attack = "T1059.004"
  strings:
    $runs = /\b(nc|ncat|netcat)(\.traditional|\.openbsd)?[ \t][^\r\n|;&#]{0,100}(-[a-z]{0,6}[ec]|--exec|--sh-exec)[ \t=]{1,4}['"]?(\/usr)?\/bin\/(ba|da|z|k)?sh\b/
    $fifo = /\bmkfifo[ \t]{1,4}[^\s;&|]{1,128}[ \t]{0,4}(;|&&)[^\r\n]{0,100}\|[ \t]{0,4}(\/bin\/)?(ba|da|z|k)?sh[ \t]{1,4}(-i[ \t]{0,4})?2>&1[ \t]{0,4}\|[ \t]{0,4}(nc|ncat|netcat|telnet|openssl)\b/
  condition:
    filesize < 256KB and Starts_Something and any of ($runs, $fifo)
}

rule Reverse_Shell_Python
{
  meta:
    description = "Python that connects and makes the connection the input and output of a shell"
    attack = "T1059.006"
  strings:
    $connects = /\bsocket\.socket\(/
    $both = /\bos\.dup2\([ \t]{0,4}\w{1,32}\.fileno\(\)[ \t]{0,4},[ \t]{0,4}[012][ \t]{0,4}\)/
    $shell = /\b(pty\.spawn|subprocess\.(call|Popen|run)|os\.system)\([ \t]{0,4}\[?[ \t]{0,4}\\?["'](\/usr)?(\/bin\/)?(ba|da|z|k)?sh\b/
  condition:
    filesize < 256KB and uint32(0) != 0x464C457F and $connects and #both > 1 and $shell
}

rule Cron_Runs_Download
{
  meta:
    description = "A line of cron that runs whatever a server sends"
    attack = "T1053.003, T1105"
    lazaret_judgement = "suspicious"
  strings:
    $line = /(\*[ \t]\*[ \t]\*|@reboot|@hourly|@daily)[ \t][^\r\n#]{0,200}\b(curl|wget)[ \t][^\r\n#]{0,300}\|[ \t]{0,4}(sudo[ \t]{1,4})?(\/usr)?(\/bin\/)?(ba|da|z|k)?sh\b/
  condition:
    filesize < 256KB and $line
}
