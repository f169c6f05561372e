"""Which outside requirements are met, and on what evidence. Controls are data, in `policies/frameworks/`.

Nothing is met because nothing was looked at (`policyd.compliance.assess` lists the rules).
"""
