// Mining of currencies at the cost of whoever pays for the machine. It may be the owner's own: hence suspicious.

rule Miner_Configuration
{
  meta:
    description = "The configuration of a miner of the XMRig kind"
    attack = "T1496.001"
    lazaret_judgement = "suspicious"
  strings:
    $donation = /"donate-(level|over-proxy)"[ \t]{0,4}:/
    $pools = /"pools"[ \t]{0,4}:[ \t]{0,4}\[/
    $wallet = /"user"[ \t]{0,4}:[ \t]{0,4}"[0-9A-Za-z.+_@-]{8,256}"/
  condition:
    filesize < 256KB and all of them
}

rule Miner_Started
{
  meta:
    description = "A script, a unit or a line of cron that starts a miner with its pool"
    attack = "T1496.001"
    lazaret_judgement = "suspicious"
  strings:
    $unit = "\nExecStart"
    $every = "* * *"
    $named = /@(reboot|hourly|daily|midnight|weekly|monthly)[ \t]/
    $pool = /[ \t='"]stratum2?\+(tcp|ssl|tls|udp):\/\/[0-9A-Za-z._-]{3,253}:[0-9]{2,5}/
  condition:
    filesize < 256KB and (uint16(0) == 0x2123 or any of ($unit, $every, $named)) and $pool
}
