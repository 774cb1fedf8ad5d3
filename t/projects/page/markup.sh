# Output that would do harm if a page took it for markup.
cat <<'OUT'
<img src=x onerror="document.title='taken'">
<script>document.title='taken'</script>
</pre></ol><h1>big</h1>
&lt;not an entity&gt; &amp; "quotes" 'too'
javascript:alert(1)
OUT
