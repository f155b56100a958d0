-- Checks the cookie's token on each request, as scripts for nginx do: HS256 alone, signature, exp and nbf, then who it is.
-- Everything that can be done once is done once: this is nginx + Lua at its best, short of remembering tokens.
local hmac = require "openssl.hmac"
local cjson = require "cjson"
local base64 = require "ngx.base64"

local decode_base64url = base64.decode_base64url
local decode_json = cjson.decode
local match = string.match

local handle = assert(io.open("@SECRET_FILE@", "rb"))
local secret = handle:read("*a")
handle:close()

-- A signature is compared in constant time, as the gateway does.
local function equal(one, other)
    if #one ~= #other then
        return false
    end
    local difference = 0
    for at = 1, #one do
        difference = bit.bor(difference, bit.bxor(one:byte(at), other:byte(at)))
    end
    return difference == 0
end

local function identity(token)
    local signed, head, body, signature = match(token, "^(([%w_-]+)%.([%w_-]+))%.([%w_-]+)$")
    if not signed then
        return nil
    end
    local given = decode_base64url(signature)
    if not given or not equal(hmac.new(secret, "sha256"):final(signed), given) then
        return nil
    end
    local header, claims = decode_json(decode_base64url(head)), decode_json(decode_base64url(body))
    local now = ngx.time()
    if header.alg ~= "HS256" or header.crit or not claims.exp or claims.exp <= now or (claims.nbf and claims.nbf > now) then
        return nil
    end
    return claims.identity
end

local check = {}

function check.access()
    local token = ngx.var.cookie_@COOKIE@
    local known, who = pcall(identity, token or "")
    if not known or not who then
        ngx.header["WWW-Authenticate"] = "Bearer"
        return ngx.exit(ngx.HTTP_UNAUTHORIZED)
    end
    ngx.var.user = who.user
end

return check
